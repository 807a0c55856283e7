"""PutMedia: one producer's endless body into the log, acknowledged fragment by fragment."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.acks import AckError, AckWriter
from streamproc.kinesis.assemble import Assembler, Buffering, RawFragment, Received, Step, TimecodeLesser
from streamproc.kinesis.log import FragmentHead, VideoLog, now_ms
from streamproc.kinesis.put_request import PutRequest
from streamproc.kinesis.store import FragmentTooLarge, NewFragment
from streamproc.logic.contention import session_mark
from streamproc.media.ebml import MatroskaError, TooLarge
from streamproc.media.matroska import Cutter
from streamproc.metrics import KINESIS_BYTES, KINESIS_FRAGMENTS
from streamproc.threads import FRAGMENTS

log = structlog.get_logger(__name__)

IDLE_S = 30.0
"""Without data for so long the producer is told IDLE."""


class SessionEnded(Exception):
    """The session is over: an error to tell, or another session took over."""

    def __init__(self, error: AckError | None, reason: str) -> None:
        super().__init__(reason)
        self.error = error


@dataclass(slots=True)
class Memory:
    """What all sessions hold together."""

    most: int
    held: int = 0

    def change(self, by: int) -> None:
        self.held += by


class PutSession:
    """One PutMedia request. ``run`` returns when the body has ended, the connection is gone or an error was told."""

    def __init__(self, video: VideoLog, stream: str, request: PutRequest, acks: AckWriter, memory: Memory) -> None:
        self.stream = stream
        self._video = video
        self._request = request
        self._acks = acks
        self._memory = memory
        most = video.store.max_fragment_bytes
        self._cutter = Cutter(most)
        self._assembler = Assembler(most)
        self._head: FragmentHead | None = None
        self._timecode_ms = 0
        self._held = 0
        self._persisting: asyncio.Task[None] | None = None
        self._may_repeat = video.streams.was_cut_off(stream)
        self._ended: SessionEnded | None = None
        self._receiving: asyncio.Task[Any] | None = None
        self._waits_for_data = False
        self._heard_at = time.monotonic()
        self.mark = session_mark(time.time(), uuid.uuid4().hex[:8])
        """Stands beside its fragments, so that the nodes of a cluster know the newest session of a stream."""
        self.done = asyncio.Event()
        """Set when nothing more of it will be begun; what is being stored goes on."""

    @property
    def heard_at(self) -> float:
        """When it sent its latest bytes, on the monotonic clock: now while the store is away and it is not read, never once it is over."""
        if self.done.is_set() or self._ended is not None:
            return float("-inf")
        return self._heard_at if self._waits_for_data else time.monotonic()

    def end(self, error: AckError | None, reason: str) -> None:
        """End it from outside, with an error for the producer or without a word."""
        if self._ended is None:
            self._ended = SessionEnded(error, reason)
            if self._receiving is not None:
                self._receiving.cancel()

    async def run(self, read: Callable[[], Awaitable[bytes]]) -> bool:
        """``read`` gives what came, b"" at the end, and raises OSError when the connection is lost. Whether all is well at the end."""
        clean = False
        try:
            await FRAGMENTS.run(self._video.streams.set_open, self.stream, True)
            await self._receive(read)
            await FRAGMENTS.run(self._video.streams.set_open, self.stream, False)
            clean = True
        except SessionEnded as ended:
            self._fail(ended.error, str(ended))
        except TooLarge as error:
            self._fail(AckError.MAX_FRAGMENT_SIZE_REACHED, str(error))
        except MatroskaError as error:
            self._fail(AckError.INVALID_MKV_DATA, str(error))
        except TimecodeLesser as error:
            self._fail(AckError.FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS, str(error))
        except OSError as error:
            log.info("producer_cut_off", stream=self.stream, reason=str(error) or type(error).__name__)
        finally:
            if not clean:
                await self._rescue()
            self._hold(0)
            self.done.set()
        return clean

    async def settle(self) -> None:
        """Returns when nothing of it is being stored."""
        if self._persisting is not None:
            await asyncio.gather(self._persisting, return_exceptions=True)

    async def _receive(self, read: Callable[[], Awaitable[bytes]]) -> None:
        """Until the body has ended and everything of it is durable. Raises SessionEnded where somebody ended it."""
        task = self._receiving = asyncio.current_task()
        try:
            if self._ended is not None:
                raise self._ended
            await self._receive_all(read)
            await self._last_persisted()
        except asyncio.CancelledError:
            if self._ended is None or task is None:
                raise
            task.uncancel()
            raise self._ended from None
        finally:
            self._receiving = None

    async def _receive_all(self, read: Callable[[], Awaitable[bytes]]) -> None:
        while True:
            pauses = self._assembler.held and self._cutter.between_clusters
            try:
                self._waits_for_data = True
                async with asyncio.timeout(self._assembler.pause_s if pauses else IDLE_S):
                    data = await read()
                self._waits_for_data, self._heard_at = False, time.monotonic()
            except TimeoutError:
                if pauses:
                    await self._handle(self._assembler.close())
                else:
                    self._acks.say("IDLE")
                continue
            KINESIS_BYTES.labels("in").inc(len(data))
            events = self._cutter.feed(data) if data else self._cutter.finish()
            await self._handle(self._assembler.add(events))
            if not data:
                await self._handle(self._assembler.close())
                return
            self._hold(self._cutter.buffered + self._assembler.held)
            await self._acks.room()

    async def _handle(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Buffering):
                self._timecode_ms = step.timecode_ms
                if step.begins or self._head is None:
                    self._head = self._video.begin(self.stream, now_ms())
                self._acks.say("BUFFERING", step.timecode_ms, self._head.number)
            elif isinstance(step, Received):
                self._acks.say("RECEIVED", step.timecode_ms, self._head.number if self._head is not None else "")
            else:
                await self._begin_persisting(step)

    async def _begin_persisting(self, fragment: RawFragment) -> None:
        """One at a time: with the store away the body is not read any more, and TCP holds the producer back."""
        head, self._head = self._head, None
        assert head is not None
        await self._last_persisted()
        self._persisting = asyncio.create_task(self._persist(head, fragment), name=f"fragment of {self.stream}")

    async def _last_persisted(self) -> None:
        if self._persisting is not None:
            # Whoever ends the session ends the waiting; what is being stored goes on.
            await asyncio.wait({self._persisting})
            self._persisting.result()

    async def _persist(self, head: FragmentHead, fragment: RawFragment) -> None:
        data = fragment.header.data + fragment.body
        producer_ms = self._request.producer_ms(fragment.timecodes_ms[0])
        info = FragmentInfo(head.number, producer_ms, head.server_ms, fragment.duration_ms, len(data))
        digest = hashlib.blake2b(fragment.body, digest_size=16).digest()
        self._memory.change(len(data))
        try:
            repeatable = self._may_repeat or self._request.absolute
            number = await self._video.append(
                self.stream, NewFragment(info, data, digest, self.mark), may_repeat=repeatable
            )
        except FragmentTooLarge as error:
            raise SessionEnded(AckError.MAX_FRAGMENT_SIZE_REACHED, str(error)) from None
        finally:
            self._memory.change(-len(data))
        KINESIS_FRAGMENTS.labels("stored" if number == head.number else "repeated").inc()
        for timecode_ms in fragment.timecodes_ms:
            self._acks.say("PERSISTED", timecode_ms, number)

    async def _rescue(self) -> None:
        """Keep the clusters that are complete, and told so, when the rest will not come."""
        try:
            for step in [*self._assembler.add(self._cutter.taken()), *self._assembler.close()]:
                if isinstance(step, RawFragment) and self._head is not None:
                    previous, self._persisting = self._persisting, None
                    head, self._head = self._head, None
                    self._persisting = asyncio.create_task(self._persist_after(previous, head, step))
                elif isinstance(step, Buffering):
                    self._head = self._video.begin(self.stream, now_ms())
        except TimecodeLesser:
            return

    async def _persist_after(self, previous: asyncio.Task[None] | None, head: FragmentHead, step: RawFragment) -> None:
        if previous is not None:
            await asyncio.gather(previous, return_exceptions=True)
        await self._persist(head, step)

    def _fail(self, error: AckError | None, reason: str) -> None:
        log.warning("producer_session_ended", stream=self.stream, error=error and error.name, reason=reason)
        if error is not None:
            self._acks.say("ERROR", self._timecode_ms, self._head.number if self._head is not None else "", error)

    def _hold(self, size: int) -> None:
        self._memory.change(size - self._held)
        self._held = size
        if size and self._memory.held > self._memory.most:
            raise SessionEnded(AckError.INTERNAL_ERROR, "all sessions together hold more than max_buffered_bytes")

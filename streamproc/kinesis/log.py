"""The streams and fragments of this node: what producers write through and consumers read from."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

import structlog

from streamproc.core.errors import StreamprocError
from streamproc.kinesis.index import Clock, FragmentIndex
from streamproc.kinesis.store import Entry, FragmentGone, FragmentStore, NewFragment, StoreAway
from streamproc.kinesis.streams import StreamTable, VideoStream
from streamproc.logic import fragment_numbers as numbers
from streamproc.logic.backoff import Backoff, BackoffRule
from streamproc.threads import FRAGMENTS
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

PRUNE_EVERY_S = 10.0
REMEMBERED = 16
"""A producer that lost its connection sends at most so many fragments again."""
HEARD_EVERY_S = 0.05
_DELETE_BATCH = 500


@dataclass(frozen=True, slots=True)
class FragmentHead:
    """A fragment that has begun to arrive."""

    number: str
    server_ms: int


def now_ms() -> int:
    """UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


class VideoLog:
    """Use in one event loop."""

    def __init__(self, streams: StreamTable, index: FragmentIndex, store: FragmentStore) -> None:
        self.streams = streams
        self.index = index
        self.store = store
        self._last: dict[str, str] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._pruning: asyncio.Task[None] | None = None
        self.waiting = ""
        """What the store waits for; empty while it works."""
        self.told: Callable[[], Awaitable[None]] = _at_once
        """Waits until other nodes know what was changed of the streams, where there are others."""
        self.patience_s = 0.0
        """So long a stream that is not known may still come from another node."""
        self.deleted_listeners: list[Callable[[str], None]] = []
        """Called in the loop with the name of a stream that was deleted, here or by another node."""

    async def open(self) -> None:
        await self.store.open()
        self._pruning = asyncio.create_task(self._prune_always(), name="fragment retention")

    async def close(self) -> None:
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.gather(self._pruning, return_exceptions=True)
        await self.store.close()

    async def stream(self, name: str) -> VideoStream:
        """Raises NotFound; a stream that another node has just made is waited for."""
        for _ in range(round(self.patience_s / HEARD_EVERY_S)):
            if await FRAGMENTS.run(self.streams.find, name) is not None:
                break
            await asyncio.sleep(HEARD_EVERY_S)
        return await FRAGMENTS.run(self.streams.get, name)

    # -- writing

    def begin(self, stream: str, at_ms: int) -> FragmentHead:
        """The number of a fragment whose first byte came at ``at_ms``."""
        last = self._last.get(stream)
        if last is None:
            found = self.index.last(stream)
            last = found.info.number if found is not None else ""
        number = numbers.next_number(at_ms, secrets.randbits(28), last)
        self._last[stream] = number
        return FragmentHead(number, numbers.server_ms(number))

    async def append(self, stream: str, fragment: NewFragment, *, may_repeat: bool = False) -> str:
        """The number under which it is durable when this returns; waits for a store that is away. Raises FragmentTooLarge.

        ``may_repeat``: one of the stream's latest with the same clusters is the same fragment, sent again; it keeps its number.
        """
        # Fragments of one stream are stored in the order in which they were begun, whichever session they are of.
        async with self._turns.setdefault(stream, asyncio.Lock()):
            known = await FRAGMENTS.run(self._sent_before, stream, fragment.digest) if may_repeat else None
            if known is not None:
                return known.info.number
            await self._store_patiently(stream, fragment)
        self._wake(stream)
        return fragment.info.number

    async def _store_patiently(self, stream: str, fragment: NewFragment) -> None:
        backoff: Backoff | None = None
        while True:
            try:
                await self.store.append(stream, fragment)
            except StoreAway as error:
                backoff = backoff or Backoff(BackoffRule(cap_s=5.0, healthy_s=10.0), Random())
                wait = backoff.failed(time.monotonic())
                if self.waiting != str(error):
                    log.warning("fragments_wait", reason=str(error), retry_s=round(wait, 1))
                self.waiting = str(error)
                await asyncio.sleep(wait)
            else:
                self.waiting = ""
                return

    def _sent_before(self, stream: str, digest: bytes) -> Entry | None:
        return next((entry for entry in self.index.latest(stream, REMEMBERED) if entry.digest == digest), None)

    async def delete(self, stream: VideoStream, version: str | None) -> None:
        """The stream and its fragments. Raises NotFound or VersionMismatch."""
        await FRAGMENTS.run(self.streams.delete, stream.name, version)
        await self.forget(stream.name)

    async def forget(self, name: str) -> None:
        """The fragments of a stream that was deleted."""
        for listener in self.deleted_listeners:
            listener(name)
        self._last.pop(name, None)
        while entries := self.index.latest(name, _DELETE_BATCH):
            await self.store.remove(entries)

    def heard(self, stream: str, number: str) -> None:
        """Another node has stored a fragment, or this one's has come back."""
        if stream in self._last:
            self._last[stream] = max(self._last[stream], number)
        self._wake(stream)

    def _wake(self, stream: str) -> None:
        news = self._news.pop(stream, None)
        if news is not None:
            news.set()

    # -- reading

    async def next(self, stream: str, after: str, timeout_s: float) -> tuple[Entry, bytes] | None:
        """The fragment after that number; waits for it up to ``timeout_s``. None where none came, or the stream is gone."""
        until = time.monotonic() + timeout_s
        while True:
            # Asked for before the look, so that a fragment that comes in between is not slept through.
            news = self._news.setdefault(stream, asyncio.Event())
            entry = await FRAGMENTS.run(self.index.after, stream, after)
            if entry is None:
                left = until - time.monotonic()
                if left <= 0:
                    return None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), left)
                continue
            data = await self.read(entry, until)
            if data is not None:
                return entry, data
            after = entry.info.number

    async def read(self, entry: Entry, until: float) -> bytes | None:
        """The bytes; None where they are gone. Raises StoreAway once ``until`` (monotonic) has passed."""
        while True:
            try:
                with self.index.holding([entry]):
                    return await self.store.read(entry)
            except FragmentGone:
                if self.index.get(entry.stream, entry.info.number) is not None:
                    await self.store.remove([entry])
                return None
            except StoreAway:
                if time.monotonic() >= until:
                    raise
                await asyncio.sleep(min(1.0, max(0.0, until - time.monotonic())))

    def after_instant(self, stream: str, clock: Clock, at_ms: int) -> str:
        """The number after which to read, so that the fragment that holds the instant comes first; else the first after it."""
        found = self.index.containing(stream, clock, at_ms)
        return just_before(found.info.number) if found is not None else self.after_last(stream)

    def after_last(self, stream: str) -> str:
        """The number after which only fragments to come are read."""
        last = self.index.last(stream)
        return last.info.number if last is not None else ""

    def after_latest_but_one(self, stream: str) -> str:
        """The number after which the latest fragment comes first."""
        last = self.index.last(stream)
        return just_before(last.info.number) if last is not None else ""

    async def _prune_always(self) -> None:
        trouble = Trouble("old_fragments_stay", "old_fragments_go")
        while True:
            try:
                await self.store.prune(now_ms())
                trouble.over()
            except Exception as error:  # noqa: BLE001 - the task's boundary: a full disk must not end retention for good
                trouble.met(error, bug=None if isinstance(error, StreamprocError) else error)
            await asyncio.sleep(PRUNE_EVERY_S)


def just_before(number: str) -> str:
    """A number that only this one and later ones follow."""
    return str(int(number) - 1).zfill(len(number))


async def _at_once() -> None:
    """There is nobody to tell."""

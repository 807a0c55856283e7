"""This node's streams for sources and recordings, which read and write in threads of their own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from streamproc.core.errors import NotFound, SourceError, StreamprocError
from streamproc.core.video_log import FragmentInfo, Recorded
from streamproc.kinesis.catalog import StreamCatalog
from streamproc.kinesis.log import VideoLog, just_before, now_ms
from streamproc.kinesis.store import NewFragment, StoreAway
from streamproc.threads import FRAGMENTS

T = TypeVar("T")
_ANSWER_S = 30.0
_LOOK_S = 0.5

_NEVER_AGAIN = b""
"""In place of a digest: nobody sends a recording's fragment a second time."""


class LocalReader:
    """See ``core.video_log.FragmentReader``. The log belongs to ``loop``."""

    def __init__(self, log: VideoLog, loop: asyncio.AbstractEventLoop) -> None:
        self._log = log
        self._loop = loop

    def has(self, stream: str) -> bool:
        return self._log.streams.find(stream) is not None

    def begin(self, stream: str, start: str | Mapping[str, Any]) -> str | None:
        try:
            return self._begin(stream, start)
        except sqlite3.Error as error:  # the daemon ends, and has closed its files
            raise SourceError(f"the node's video streams: {error}") from None

    def _begin(self, stream: str, start: str | Mapping[str, Any]) -> str | None:
        log = self._log
        if not self.has(stream):
            return None
        if start == "earliest":
            return ""
        if isinstance(start, str):
            return log.after_last(stream)
        if "fragment" in start:
            return just_before(str(start["fragment"]))
        return log.after_instant(stream, "producer_ms", round(float(start["timestamp"]) * 1000))

    def next(self, stream: str, after: str, timeout_s: float) -> tuple[FragmentInfo, bytes] | None:
        found = self._ask(self._log.next(stream, after, timeout_s))
        return None if found is None else (found[0].info, found[1])

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises SourceError where the store is away or the daemon ends."""
        if self._loop.is_closed():
            work.close()
            raise SourceError("the node's video streams are closed")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S)
        except (StreamprocError, sqlite3.Error) as error:
            raise SourceError(f"the node's video streams: {error}") from None
        except (TimeoutError, CancelledError):
            raise SourceError("the node's video streams do not answer") from None


class LocalVideo:
    """See ``core.video_log.RecordedVideo``."""

    def __init__(self, log: VideoLog) -> None:
        self._log = log
        self._catalog = StreamCatalog(log.streams, log.index)

    async def span(self, stream: str) -> tuple[int, int] | None:
        return await FRAGMENTS.run(self._log.index.span, stream)

    async def fragments(self, stream: str, begins_ms: int, ends_ms: int) -> Sequence[FragmentInfo]:
        try:
            found = await FRAGMENTS.run(self._catalog.overlapping, stream, begins_ms, ends_ms)
        except NotFound:
            return ()
        return [entry.info for entry in found]

    async def read(self, stream: str, number: str) -> bytes | None:
        try:
            entry = await FRAGMENTS.run(self._catalog.entry, stream, number)
        except NotFound:
            return None
        return await self._log.read(entry, time.monotonic() + _ANSWER_S)


UNMASKED = {"unmasked": "true"}
"""The tag of a recording that may show what masks cover."""


class LocalWriter:
    """See ``core.video_log.FragmentWriter``. The log belongs to ``loop``."""

    def __init__(self, log: VideoLog, loop: asyncio.AbstractEventLoop) -> None:
        self._log = log
        self._loop = loop

    def keep(self, stream: str, keep_ms: int, *, unmasked: bool = False) -> None:
        try:
            self._log.streams.record(stream, keep_ms, now_ms(), UNMASKED if unmasked else {})
        except sqlite3.Error as error:
            raise StoreAway(f"the index of video streams: {error}") from None

    def append(self, stream: str, fragment: Recorded, give_up: threading.Event) -> None:
        if self._loop.is_closed():
            raise StoreAway("the node's video streams are closed")
        work = asyncio.run_coroutine_threadsafe(self._append(stream, fragment), self._loop)
        while True:
            try:
                work.result(_LOOK_S)
                return
            except TimeoutError:
                if give_up.is_set():
                    work.cancel()
                    raise StoreAway(self._log.waiting or "the store took nothing in time") from None
            except CancelledError:
                raise StoreAway("the node's video streams are closed") from None
            except sqlite3.Error as error:
                raise StoreAway(f"the index of video streams: {error}") from None

    async def _append(self, stream: str, fragment: Recorded) -> None:
        head = self._log.begin(stream, now_ms())
        begins_ms = round(fragment.begins.timestamp() * 1000)
        info = FragmentInfo(head.number, begins_ms, head.server_ms, fragment.duration_ms, len(fragment.data))
        await self._log.append(stream, NewFragment(info, fragment.data, _NEVER_AGAIN))

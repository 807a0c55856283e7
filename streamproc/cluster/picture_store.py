"""The pictures of a cluster: those that are too large to travel with their event lie in a bucket that all its nodes read.

They are put there before the event is committed, so that another node has them when this one dies. A bucket that takes nothing holds nobody up: what is to
go there waits on this node's disk, bounded, and the event is committed all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import OrderedDict
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from typing import Protocol

from connectors.s3.picture_settings import S3PictureSettings
from streamproc import metrics
from streamproc.core.errors import StorageUnavailable
from streamproc.core.event import Event, Pictures
from streamproc.store.spool import Spool, packed, unpacked
from streamproc.threads import Threads
from streamproc.trouble import Trouble

PATIENCE_S = 1.0
"""How long a decision waits for the bucket before its pictures wait on disk: once, then nothing waits until the bucket answers again."""
AGAIN_S = 2.0
LAST_TRY_S = 5.0
SILENT_S = 5.0
"""Who wants to read from a bucket that did not answer is told so at once for so long."""
_KNOWN = 4096
"""Newest pictures that are remembered as put: a commit that is tried again does not put them again."""


class PictureBucket(Protocol):
    """``connectors.s3.bucket.Bucket``, as far as it is used here."""

    @property
    def place(self) -> str: ...

    def put(self, key: str, data: bytes) -> None: ...

    def get(self, key: str) -> bytes | None: ...


class PictureStore:
    """``keep`` and ``read`` are called in any thread, the rest belongs to the event loop."""

    def __init__(self, bucket: PictureBucket, prefix: str, settings: S3PictureSettings, waiting: Spool) -> None:
        """``prefix``: of this cluster's keys, with a slash at its end."""
        self._bucket = bucket
        self._prefix = prefix
        self._settings = settings
        self._waiting = waiting
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = sum(size for *_, size in waiting.waiting())
        self._reason = "not tried yet" if self._bytes else ""
        self._read_failed = (float("-inf"), "")
        self._threads = Threads("bucket", 4)
        self._away = Trouble("pictures_wait", "pictures_go_on", bucket=bucket.place)
        self._full = Trouble("pictures_stay_here", "pictures_wait_again", bucket=bucket.place)
        self._sending: asyncio.Task[None] | None = None
        metrics.PICTURES_WAITING.set(self._bytes)

    @property
    def trouble(self) -> str:
        """What waits for the bucket, and why; empty while nothing does."""
        if not self._bytes:
            return ""
        return f"{self._bytes / 1e6:.1f} MB wait on this node's disk: {self._reason or 'they are on their way'}"

    def keep(self, event: Event, pictures: Pictures) -> str:
        """Put an event's pictures where other nodes find them; their mark, by which ``read`` knows them. Empty: they are to travel with the event,
        or stay here where they are too large."""
        if len(pictures.frame) + len(pictures.crop) <= self._settings.inline:
            return ""
        data = packed(pictures)
        mark = _mark(data)
        key = self._key(event.session, event.id, mark)
        with self._lock:
            if key in self._known:
                return mark
        if self._reason or not self._put_in_time(key, data):
            if not self._wait(event, pictures, len(data)):
                metrics.PICTURES_KEPT.labels("here").inc()
                return ""
        else:
            metrics.PICTURES_KEPT.labels("stored").inc()
        with self._lock:
            self._known[key] = None
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return mark

    def read(self, session: str, event_id: str, mark: str) -> Pictures | None:
        """None: the bucket has none of that event (yet, or any more). Raises StorageUnavailable."""
        found = self._waiting.read(session, event_id)
        if found is not None and _mark(packed(found)) == mark:
            return found
        failed, reason = self._read_failed
        if time.monotonic() - failed < SILENT_S:
            raise StorageUnavailable(reason)
        try:
            data = self._bucket.get(self._key(session, event_id, mark))
        except StorageUnavailable as error:
            self._read_failed = (time.monotonic(), str(error))
            raise
        return unpacked(data) if data else None

    def open(self) -> None:
        self._sending = asyncio.create_task(self._send_always(), name="pictures of the cluster")

    async def close(self) -> None:
        """Try once more to send what waits, at most for some seconds; the next process goes on with it."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            with suppress(TimeoutError, StorageUnavailable):
                async with asyncio.timeout(LAST_TRY_S):
                    await self._send()
        self._threads.shutdown(wait=False)

    # -- inside

    def _key(self, session: str, event_id: str, mark: str) -> str:
        """A node that lost the processor without knowing it may decide another event of the same id: its pictures must not replace these."""
        return f"{self._prefix}{session}/{event_id}-{mark}.pictures"

    def _put_in_time(self, key: str, data: bytes) -> bool:
        try:
            self._threads.submit(self._bucket.put, key, data).result(PATIENCE_S)
        except TookTooLong:
            self._note(f"{self._bucket.place} did not answer within {PATIENCE_S:.0f} s")
        except (
            StorageUnavailable,
            RuntimeError,
        ) as error:  # RuntimeError: the threads have ended, and so does the node
            self._note(str(error))
        else:
            return True
        return False

    def _note(self, reason: str) -> None:
        with self._lock:
            self._reason = reason
        self._away.met(reason)

    def _wait(self, event: Event, pictures: Pictures, size: int) -> bool:
        """Whether there was room for them among those that wait."""
        with self._lock:
            fits = self._bytes + size <= self._settings.max_waiting
            self._bytes += size if fits else 0
        if not fits:
            self._full.met(f"{self._settings.max_waiting} bytes wait already (cluster.pictures.max_waiting)")
            return False
        try:
            self._waiting.write(event, pictures)
        except OSError as error:
            with self._lock:
                self._bytes -= size
            self._full.met(f"they cannot be written: {error.strerror or error}")
            return False
        metrics.PICTURES_KEPT.labels("waited").inc()
        metrics.PICTURES_WAITING.set(self._bytes)
        return True

    async def _send_always(self) -> None:
        while True:
            if self._bytes or self._reason:
                try:
                    await self._send()
                except StorageUnavailable as error:
                    self._note(str(error))
                except Exception as error:  # noqa: BLE001 - the task's boundary: what waits is tried again
                    self._away.met(repr(error), bug=error)
            await asyncio.sleep(AGAIN_S)

    async def _send(self) -> None:
        """Everything that waits, oldest first. Raises StorageUnavailable."""
        waiting = await self._threads.run(self._waiting.waiting)
        for session, event_id, size in waiting:
            await self._threads.run(self._send_one, session, event_id, size)
        if not waiting:  # nothing was to be sent: whether the bucket answers again is asked for itself
            await self._threads.run(self._bucket.get, f"{self._prefix}asked")
        with self._lock:
            if not self._bytes:
                self._reason = ""
        if not self._reason:
            self._away.over()
            self._full.over()

    def _send_one(self, session: str, event_id: str, size: int) -> None:
        pictures = self._waiting.read(session, event_id)
        if pictures is not None:
            data = packed(pictures)
            self._bucket.put(self._key(session, event_id, _mark(data)), data)
            self._waiting.remove(session, event_id)
        with self._lock:
            self._bytes = max(0, self._bytes - size)
        metrics.PICTURES_WAITING.set(self._bytes)


def _mark(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]

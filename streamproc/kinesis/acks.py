"""Acknowledgements of PutMedia: their lines, and how they are put on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from enum import Enum

from streamproc.metrics import KINESIS_ACKS

GAP_S = 0.02
"""Between two writes. The native producer core forgets its upload after the first acknowledgement of one read, so each must come in a
segment of its own: 12 of 24 were lost back to back, none at 10 ms."""

MOST_WAITING = 500
"""Acknowledgements that wait to be written; beyond that ``room`` holds a producer back that sends fragments faster than they can be told."""


class AckError(Enum):
    """(ErrorId, ErrorCode) as the service has them."""

    STREAM_READ_ERROR = 4000
    MAX_FRAGMENT_SIZE_REACHED = 4001
    FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS = 4004
    INVALID_MKV_DATA = 4006
    STREAM_DELETED = 4507
    INTERNAL_ERROR = 5000


def line(kind: str, timecode_ms: int | None = None, number: str = "", error: AckError | None = None) -> bytes:
    """One acknowledgement: compact JSON on a line of its own. ``timecode_ms``: the cluster's own, as sent."""
    document: dict[str, object] = {"EventType": kind}
    if timecode_ms is not None:
        document["FragmentTimecode"] = timecode_ms
    if number:
        document["FragmentNumber"] = number
    if error is not None:
        document |= {"ErrorId": error.value, "ErrorCode": error.name}
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


class AckWriter:
    """Writes one acknowledgement at a time, never two in one segment, without holding up whoever says them."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]], *, wanted: bool) -> None:
        """``wanted``: whether the producer asked for acknowledgements; errors are told in any case."""
        self._write = write
        self._wanted = wanted
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._task = asyncio.create_task(self._run(), name="acknowledgements")

    def say(self, kind: str, timecode_ms: int | None = None, number: str = "", error: AckError | None = None) -> None:
        """Queue one."""
        if self._wanted or error is not None:
            KINESIS_ACKS.labels(kind).inc()
            self._queue.put_nowait(line(kind, timecode_ms, number, error))
            if self._queue.qsize() > MOST_WAITING and not self._task.done():
                self._room.clear()

    async def room(self) -> None:
        """Returns when few enough wait, or nobody reads them any more."""
        await self._room.wait()

    async def drain(self) -> None:
        """Returns when all were written, or the connection is gone."""
        self._queue.put_nowait(None)
        await asyncio.gather(self._task, return_exceptions=True)

    async def drop(self) -> None:
        """Write nothing more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while (ack := await self._queue.get()) is not None:
                await self._write(ack)
                if self._queue.qsize() <= MOST_WAITING:
                    self._room.set()
                await asyncio.sleep(GAP_S)
        except OSError:
            return  # the connection is gone: nobody reads them
        finally:
            self._room.set()

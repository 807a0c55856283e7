"""Waiting for the node's own storage before anything else begins: a full disk, a database that a backup has locked, a share that is dead."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import TypeVar

import structlog

from streamproc import metrics
from streamproc.core.errors import StorageUnavailable
from streamproc.logic.backoff import BackoffRule
from streamproc.server.systemd import notify
from streamproc.store.database import Database
from streamproc.store.faults import storage_faults
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)

T = TypeVar("T")
RETRY = BackoffRule(first_s=0.5, factor=1.6, cap_s=5.0)
SLOW_S = 10.0
"""A disk that has not answered by then is told of like one that refuses."""
LOCKED_S = 2.0
"""How long one attempt waits for another writer."""
ROOM_BYTES = 1024 * 1024
"""What must be free before the node begins: its tables, and a write-ahead log of their first changes."""
EXTEND_S = 60


def open_database(data_dir: Path) -> Database:
    """The node's database, when the disk has room for what a start writes. Raises as ``Database``."""
    database = Database(data_dir, patience_s=LOCKED_S)
    try:
        with storage_faults():
            _try_room(data_dir / "room")
    except BaseException:
        database.close()
        raise
    return database


async def when_storage_answers(
    attempt: Callable[[], T],
    stop: asyncio.Event,
    meanwhile: Callable[[], AbstractAsyncContextManager[object]],
) -> T | None:
    """What ``attempt`` gives, which is called in a thread until it raises StorageUnavailable no more; None where ``stop`` is set first.

    ``meanwhile``: entered when the wait has begun, left at its end. The wait is said once, and its end.
    """
    begun, failures, random = time.monotonic(), 0, Random()
    stopped = asyncio.create_task(stop.wait(), name="stop")
    async with AsyncExitStack() as stack:
        stack.callback(stopped.cancel)
        calling: asyncio.Future[T] | None = None
        while True:
            calling = calling or asyncio.ensure_future(CONTROL.run(attempt))
            await asyncio.wait((calling, stopped), timeout=SLOW_S, return_when=asyncio.FIRST_COMPLETED)
            try:
                if calling.done():
                    found = calling.result()
                    _say_over(begun, failures)
                    return found
                reason = "the disk does not answer"
            except StorageUnavailable as error:
                reason, calling = str(error), None
            if stopped.done():
                return None
            failures += 1
            if failures == 1:
                await stack.enter_async_context(meanwhile())
                _say_begun(reason)
            notify(f"STATUS={reason}\nEXTEND_TIMEOUT_USEC={EXTEND_S * 1_000_000}")
            if calling is None:
                await asyncio.wait((stopped,), timeout=RETRY.wait(failures, random))


def _say_begun(reason: str) -> None:
    metrics.STORAGE_UNAVAILABLE.set(1)
    log.error("storage_unavailable", reason=reason, doing="the node begins when it can be written")


def _say_over(begun: float, failures: int) -> None:
    if failures:
        metrics.STORAGE_UNAVAILABLE.set(0)
        log.warning("storage_available", after_s=round(time.monotonic() - begun, 1))


def _try_room(path: Path) -> None:
    """Raises OSError where the disk does not take so much."""
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(0, ROOM_BYTES, 65536):
                if file.write(bytes(65536)) != 65536:  # the disk took a part: it takes nothing more
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)

"""Blocking calls off the event loop: a bounded set of threads for each kind of work, so that what hangs holds up its own kind only."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

import structlog

from streamproc.core.errors import HeldUp

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
LEAVE_AFTER_S = 2.0
"""How long the end of the process waits for calls that hang; their threads do not keep it alive."""


class StillBusy(Exception):
    """The call before hangs: nothing new is begun."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the write that began {seconds:.0f} s ago has not come back")


class Threads(ThreadPoolExecutor):
    """An executor whose threads are daemons: those of the standard library are waited for without end when the process ends."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(most, thread_name_prefix=name)
        self.name = name
        self._most = most
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._free = threading.Semaphore(0)
        self._mine: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._closed = False

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``asyncio.to_thread`` in one of these threads."""
        return await asyncio.get_running_loop().run_in_executor(self, partial(call, *args, **kwargs))

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        with self._guard:
            if self._closed:
                raise RuntimeError(f"the threads for {self.name} have ended")
            self._calls.put((future, partial(fn, *args, **kwargs)))
            if not self._free.acquire(blocking=False) and len(self._mine) < self._most:
                name = f"{self.name}-{len(self._mine)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._mine.append(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing new is taken. What hangs is left behind after two seconds, and named."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            for _ in self._mine:
                self._calls.put(None)
        deadline = time.monotonic() + (LEAVE_AFTER_S if wait else 0.0)
        for thread in self._mine:
            thread.join(max(0.0, deadline - time.monotonic()))
            if wait and thread.is_alive():
                log.error("left_behind", thread=thread.name, what="a blocking call does not come back")

    def _work(self) -> None:
        while True:
            item = self._calls.get()
            if item is None:
                return
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - whoever waits for the future hears of it
                    future.set_exception(error)
            del item, future, call
            self._free.release()


class RequestThreads(Threads):
    """Threads for what clients ask for: who gets none in time is told so instead of waiting without end."""

    def __init__(self, name: str, most: int, patience_s: float = 10.0) -> None:
        super().__init__(name, most)
        self._patience_s = patience_s

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises HeldUp where every thread stays busy; a call that has begun is waited for."""
        future = self.submit(call, *args, **kwargs)
        waiting = asyncio.wrap_future(future)
        try:
            await asyncio.wait((waiting,), timeout=self._patience_s)
        except asyncio.CancelledError:  # whoever asked is gone
            waiting.cancel()
            raise
        if not waiting.done() and future.cancel():
            raise HeldUp(f"{self.name}: what was asked for before has not come back; ask again later")
        return await waiting


class OneAtATime:
    """Blocking calls of one output, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._threads = Threads(name, 1)
        self._last: tuple[str, Future[None], float] | None = None

    async def run(self, key: str, call: Callable[[], None]) -> None:
        """``call``, unless the one before still hangs (StillBusy), or was this one and came back meanwhile."""
        if self._last is not None:
            before, future, since = self._last
            if not future.done():
                raise StillBusy(time.monotonic() - since)
            if before == key and not future.cancelled() and future.exception() is None:
                self._last = None
                return
        future = self._threads.submit(call)
        self._last = (key, future, time.monotonic())
        await asyncio.wrap_future(future)
        self._last = None

    def close(self) -> None:
        self._threads.shutdown(wait=False)


class FolderThreads:
    """Blocking calls in folders that may be network shares: a few threads of their own for each, and nobody waits in them without end.

    Belongs to the event loop.
    """

    def __init__(self, each: int = 2, patience_s: float = 10.0) -> None:
        self._each = each
        self._patience_s = patience_s
        self._threads: dict[str, Threads] = {}
        self._begun: dict[str, dict[Future[Any], float]] = {}

    async def run(self, folder: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises StillBusy where the folder does not answer in time, at once where that is known of it already."""
        begun = self._begun.setdefault(folder, {})
        now = time.monotonic()
        stuck = [since for since in begun.values() if now - since > self._patience_s]
        if len(stuck) >= self._each:
            raise StillBusy(now - min(stuck))
        threads = self._threads.setdefault(folder, Threads(f"folder {folder}", self._each))
        future = threads.submit(partial(call, *args, **kwargs))
        begun[future] = now
        try:
            async with asyncio.timeout(self._patience_s):
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError:
            if future.done():
                raise  # the call's own
            raise StillBusy(self._patience_s) from None
        finally:
            if future.cancel() or future.done():
                begun.pop(future, None)
            else:
                future.add_done_callback(lambda ended: begun.pop(ended, None))


DATABASE = Threads("database", 4)
"""Deliveries and house-keeping: the node's own disk."""
PICTURES = Threads("pictures", 8)
"""Pictures of events, which may lie in a cluster's bucket."""
FOLDERS = FolderThreads()
"""Folders that requests name: buckets that are bound to one."""
STORES = FolderThreads(each=8, patience_s=30.0)
"""Object stores that requests name, by binding: one that does not answer takes no threads from other requests."""
CLUSTER = Threads("cluster", 4)
"""What waits for the brokers of a cluster."""
CONTROL = Threads("control", 8)
"""Processors: sources that are let go, models that load, checkpoints."""
ENDING = Threads("ending", 4)
"""What is closed when the process ends: no other kind of work may keep it waiting."""
CLIENTS = Threads("clients", 4)
"""What outputs and sources need before they can speak: credentials, service models, certificates."""
PREPARED = Threads("prepared", 4)
"""What outputs cut out of video and pictures before they send it."""
FACE_ROWS = Threads("face rows", 2)
"""Face collections that nodes share."""
FRAGMENTS = Threads("fragments", 4)
"""The index of video streams: what is stored, followed and given back."""

SIGN_IN = RequestThreads("sign-in", 4)
HISTORY = RequestThreads("history", 4)
"""What was told: reading it, which no writer holds up."""
DELIVERIES = RequestThreads("deliveries", 2)
"""What outputs are owed, where somebody asks for it or changes it."""
FACES = RequestThreads("faces", 4)
JOBS = RequestThreads("jobs", 4)
ARCHIVE = RequestThreads("archive", 4)
"""Video that is asked for: searches, clips, pictures."""
DOCUMENTS = RequestThreads("documents", 4)
"""The config folder, where pages read and write it: it may be a network share."""
PROBES = RequestThreads("probes", 4)
"""Cameras and files that somebody wants to be looked at."""
TRACES = RequestThreads("traces", 2)
"""What explains a decision."""
LOOKUPS = 4
"""Threads of the event loop's default executor: names of hosts are looked up there, and nothing else is done."""

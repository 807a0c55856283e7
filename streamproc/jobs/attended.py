"""Runs that wait for their video's store are left behind in time: a dead network share holds no worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog

from streamproc.core.errors import SourceError
from streamproc.jobs.job_run import Interrupted

log = structlog.get_logger(__name__)

STUCK_S = 60.0
"""One read that takes so long does not come back."""
LEAVE_S = 2.0
"""The same at the end of the process."""
LOOK_S = 0.25
MOST_STUCK = 2
"""Threads that are left waiting in one folder; then its videos are not tried before one comes back."""
STUCK = "The video could not be read: the folder or store that holds it does not answer."


class Stuck(SourceError):
    """The video's store does not answer."""

    def __init__(self) -> None:
        super().__init__(STUCK)


class Reading:
    """A ``with`` around each call that waits for the video; another thread asks how long it has been. Does not nest."""

    def __init__(self) -> None:
        self._since: float | None = None

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._since = None

    @property
    def waited_s(self) -> float:
        """In the call that has not come back yet; 0 where none is out."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since


Work = Callable[[Reading, Callable[[], bool]], None]
"""A run: what it reads under, and whether it is to stop."""


class Attendant:
    """Runs each work in a thread of its own and looks how long it waits. Thread-safe."""

    def __init__(self) -> None:
        self._stuck: dict[str, list[threading.Thread]] = {}
        self._lock = threading.Lock()

    def run(self, work: Work, folder: str, closing: Callable[[], bool]) -> None:
        """Returns or raises as ``work`` does. Raises Stuck where the video does not answer, Interrupted where that is so and ``closing`` says
        that the process ends. The thread that waits is told to stop as soon as it comes back.

        ``folder``: what may hang.
        """
        if len(self._waiting_in(folder)) >= MOST_STUCK:
            raise Stuck
        reading, left, done = Reading(), threading.Event(), threading.Event()
        raised: list[BaseException] = []

        def call() -> None:
            try:
                work(reading, lambda: closing() or left.is_set())
            except BaseException as error:  # noqa: BLE001 - raised again by whoever attends
                raised.append(error)
            done.set()

        thread = threading.Thread(target=call, name="job", daemon=True)
        thread.start()
        while not done.wait(LOOK_S):
            if reading.waited_s < (LEAVE_S if closing() else STUCK_S):
                continue
            left.set()
            with self._lock:
                self._stuck[folder] = [*self._stuck.get(folder, ()), thread]
            log.error("left_behind", thread=thread.name, what="a read of a video does not come back", folder=folder)
            raise Interrupted("the job was interrupted while its video did not answer") if closing() else Stuck
        if raised:
            raise raised[0]

    def _waiting_in(self, folder: str) -> list[threading.Thread]:
        with self._lock:
            alive = [thread for thread in self._stuck.pop(folder, ()) if thread.is_alive()]
            if alive:
                self._stuck[folder] = alive
            return alive

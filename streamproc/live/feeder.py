"""Feeder: the thread that reads one source and leaves its items in the lane's inbox."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from streamproc.contracts import Position, Source
from streamproc.core.errors import InputError, SourceRefused, StreamprocError
from streamproc.core.media import EndOfStream, StreamItem
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.observers import Observers

log = structlog.get_logger(__name__)

ItemObserver = Callable[[StreamItem], None]


class Feeder:
    """Owns the source: nobody else calls ``items``. A source that fails ends the lane with its words."""

    def __init__(
        self, name: str, source: Source, lane: Lane, observers: Observers[ItemObserver], resume: Position | None = None
    ) -> None:
        """``observers``: called in the source's thread with every item. ``resume``: where the source goes on."""
        self.source = source
        self.refused = False
        """It failed for a reason that trying again soon does not fix."""
        self._observers = observers
        self._name = name
        self._lane = lane
        self._resume = resume
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Ask the source to end and wait. False: it is still blocked (its thread is left to end by itself)."""
        self._stop.set()
        if self._thread.ident is None or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("source_still_blocked", processor=self._name)
        return not self._thread.is_alive()

    def _run(self) -> None:
        ended = False
        try:
            for item in self.source.items(self._stop, self._resume):
                for observer in self._observers.all():
                    observer(item)
                ended = isinstance(item, EndOfStream)
                if not self._lane.offer(item, self.source.position(), self._stop) or ended:
                    break
        except StreamprocError as error:
            self._failed(error)
            return
        # The thread's boundary, CancelledError of a library too: nobody else would hear of its end.
        except BaseException as error:
            log.exception("source_broke", processor=self._name)
            self._failed(error)
            return
        if not ended and not self._stop.is_set():
            self._lane.offer(EndOfStream(), None, self._stop)

    def _failed(self, error: BaseException) -> None:
        self.refused = isinstance(error, SourceRefused | InputError)
        if not self._stop.is_set():
            self._lane.source_failed(str(error) or type(error).__name__)

"""The picture of each processor that was analysed last, for whoever wants to see how a camera stands."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from streamproc.core.media import Frame
from streamproc.live.supervisor import Supervisor
from streamproc.media import jpeg
from streamproc.pipeline.analysis import FrameResult

MAX_WIDTH = 1280
"""Enough for a card and for drawing regions, and a tenth of a 4K picture's bytes."""


@dataclass(frozen=True, slots=True)
class Still:
    jpeg: bytes
    at: datetime
    """Wall time of the frame."""


class Stills:
    """Costs one decoded picture a processor, and a JPEG only when somebody asks. ``get`` may be called in any thread."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._frames: dict[str, Frame] = {}
        self._stills: dict[str, Still] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Look on at every run from now on. In the event loop."""
        self._supervisor.run_listeners.append(self._follow)
        self._supervisor.state_listeners.append(self._forget)

    def get(self, name: str) -> Still | None:
        """The processor's last picture, at most 1280 wide, as it was analysed: upright, what is masked is black. None: none yet."""
        with self._lock:
            frame, still = self._frames.get(name), self._stills.get(name)
        if frame is None or (still is not None and still.at == frame.at.wall):
            return still
        made = Still(jpeg.encode(frame.picture.bgr(max_width=MAX_WIDTH)), frame.at.wall)
        with self._lock:
            if name in self._frames:
                self._stills[name] = made
        return made

    def _follow(self, name: str) -> None:
        run = self._supervisor.run_of(name)
        if run is None:
            return

        def analysed(frame: Frame, results: list[FrameResult]) -> None:
            self._frames[name] = frame

        run.lane.frames.observers.add(analysed)

    def _forget(self, name: str) -> None:
        if not self._supervisor.known(name):
            with self._lock:
                self._frames.pop(name, None)
                self._stills.pop(name, None)

"""The picture of each processor that was analysed last, for whoever wants to see how a camera stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from streamproc.core.media import Frame, Picture
from streamproc.core.vision import Box
from streamproc.live.supervisor import Supervisor
from streamproc.media import jpeg
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.pictures import without

FRESH_S = 1.0
"""A picture that was written so lately serves whoever else asks for one."""
MAX_WIDTH = 1280
"""Enough for a card and for drawing regions, and a tenth of a 4K picture's bytes."""


CARD_WIDTH = 640
"""For a card among others: a quarter of the work."""
WIDTHS = (CARD_WIDTH, MAX_WIDTH)


@dataclass(frozen=True, slots=True)
class Still:
    jpeg: bytes
    at: datetime
    """Wall time of the frame."""


class Stills:
    """Costs one decoded picture a processor, and a JPEG a second at most, only when somebody asks. ``get`` may be called in any thread."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._frames: dict[str, tuple[Frame, Callable[[Picture], Sequence[Box]]]] = {}
        """With what of the frame may not be shown."""
        self._stills: dict[tuple[str, int], tuple[Still, float]] = {}
        """And when each was made (monotonic)."""
        self._lock = threading.Lock()
        self._making: dict[tuple[str, int], threading.Lock] = {}

    def open(self) -> None:
        """Look on at every run from now on. In the event loop."""
        self._supervisor.notices.runs.append(self._follow)
        self._supervisor.notices.states.append(self._forget)

    def get(self, name: str, width: int = MAX_WIDTH) -> Still | None:
        """The processor's last picture, at most ``width`` (one of ``WIDTHS``) wide, as it was analysed: upright, what is masked is black; faces as in pictures
        that are kept. None: none yet."""
        with self._lock:
            making = self._making.setdefault((name, width), threading.Lock())
        with making:  # who asks meanwhile gets what this one makes
            return self._newest(name, width)

    def _newest(self, name: str, width: int) -> Still | None:
        with self._lock:
            last, (still, made_at) = self._frames.get(name), self._stills.get((name, width), (None, 0.0))
        if last is None:
            return None
        if still is not None and (still.at == last[0].at.wall or time.monotonic() - made_at < FRESH_S):
            return still
        frame, hides = last
        picture = without(frame.picture, hides(frame.picture))
        made = Still(jpeg.encode(picture.bgr(max_width=width)), frame.at.wall)
        with self._lock:
            if name in self._frames:
                self._stills[name, width] = made, time.monotonic()
        return made

    def _follow(self, name: str) -> None:
        run = self._supervisor.run_of(name)
        if run is None:
            return

        def analysed(frame: Frame, results: list[FrameResult]) -> None:
            self._frames[name] = frame, hides

        hides = run.lane.frames.analyses.hides
        run.lane.frames.observers.add(analysed)

    def _forget(self, name: str) -> None:
        if not self._supervisor.known(name):
            with self._lock:
                self._frames.pop(name, None)
                for width in WIDTHS:
                    self._stills.pop((name, width), None)
                    self._making.pop((name, width), None)

"""What stands around a lane in a test: a perceiver with a script, and a committer that keeps what it is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from streamproc.core.event import Event, EventType
from streamproc.core.media import Frame, Picture
from streamproc.core.vision import Box
from streamproc.logic.attention import OpenNews
from streamproc.logic.regions import EVERYWHERE
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import Sessions
from streamproc.logic.sighting import Sighting
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.recorder import Decision
from streamproc.pipeline.snapshot import LaneState

NEVER = threading.Event()


class Eyes:
    """Sees a person from ``person_from`` on."""

    def __init__(self, fps: float = 5, person_from: float = 1e9) -> None:
        self.sampler = Sampler(fps)
        self.person_from = person_from
        self.looked: list[float] = []
        self.resets = 0

    def attend(self, news: OpenNews) -> bool:
        return False

    def spaced(self, seconds: float) -> None: ...

    def conclude(self) -> list[Sighting]:
        return []

    def hides(self, picture: Picture) -> list[Box]:
        return []

    def analyse(self, frame: Frame) -> FrameResult:
        self.looked.append(frame.at.seconds)
        if frame.at.seconds < self.person_from:
            return FrameResult()
        box = Box(0.1, 0.1, 0.5, 0.9)
        return FrameResult([Sighting(EventType.LABEL_DETECTED, "PERSON", 90.0, box, EVERYWHERE, True)])

    def reset(self) -> None:
        self.resets += 1
        self.sampler.reset()

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None: ...


class Book:
    """A committer that keeps everything."""

    def __init__(self) -> None:
        self.told: list[Decision] = []
        self.states: list[LaneState | None] = []

    def commit(self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None) -> bool:
        self.told += told
        self.states.append(state)
        return True

    @property
    def events(self) -> list[Event]:
        return [event for event, _ in self.told]


def drain(lane: Lane) -> None:
    while lane.urgency() is not None:
        lane.step()

"""A live lane analyses what could still tell something, and tells the same; fake frames, the real analysis, session and schedule."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import pytest

from streamproc.config.processor import LabelSettings
from streamproc.contracts import SourceTraits
from streamproc.core.media import EndOfStream, Frame
from streamproc.core.observation import Observation, TrackView
from streamproc.core.vision import Box
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import SessionRules, Sessions
from streamproc.pipeline.analysis import LabelAnalysis
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.setup import LaneSetup
from tests.builders.frames import at, frame
from tests.builders.lanes import NEVER, Book, drain

VISITS = ((2.0, 14.0), (22.0, 33.0))
SECONDS, RATE, FPS = 40, 10, 5


class Perceiver:
    """Follows a person while there is one; where frames lie far apart the person is found anew, and not confirmed at once."""

    second_look = False
    models = None

    def __init__(self) -> None:
        self.looked: list[float] = []
        self.rates: list[float] = []
        self._track, self._looks = 0, 0

    def look(self, frame: Frame) -> Observation:
        now = frame.at.seconds
        apart = now - self.looked[-1] if self.looked else 0.0
        self.looked.append(now)
        if not any(begin <= now < end for begin, end in VISITS):
            self._looks = 0
            return Observation(frame.at)
        if apart > 0.5 or not self._looks:
            self._track, self._looks = self._track + 1, 0
        self._looks += 1
        confirmed = self._looks >= 2
        box = Box(0.1, 0.1, 0.5, 0.9)
        return Observation(frame.at, (TrackView(self._track, "PERSON", 80.0, box, confirmed, True, at(now)),))

    def pace(self, fps: float) -> None:
        self.rates.append(fps)

    def use(self, models: Any) -> None: ...

    def reset(self) -> None: ...

    def snapshot(self) -> Any: ...

    def restore(self, state: Any) -> None: ...


def play(
    mode: Literal["session", "continuous"],
    *,
    live: bool = True,
    boxes: bool = False,
    classes: tuple[str, ...] = ("PERSON",),
) -> tuple[list[tuple[str, float]], Perceiver, Lane]:
    perceiver, book = Perceiver(), Book()
    settings = LabelSettings.model_validate({"classes": classes})
    analysis = LabelAnalysis(perceiver, settings, Sampler(FPS), RegionMap(()))
    rules = SessionRules(mode, None, Fraction(4), classes=classes)
    lane = Lane(
        LaneSetup("door", SourceTraits(live, replayable=not live), Sessions("door", rules, "run"), [analysis], book)
    )
    lane.frames.boxes_wanted = lambda: boxes
    for number in range(SECONDS * RATE):
        lane.offer(frame(number / RATE), None, NEVER)
        drain(lane)
    lane.offer(EndOfStream(), None, NEVER)
    drain(lane)
    return [(event.type.value, round(event.at.seconds, 2)) for event in book.events], perceiver, lane


@pytest.mark.parametrize("mode", ["session", "continuous"])
def test_the_same_is_told_with_far_fewer_frames(mode: Literal["session", "continuous"]) -> None:
    told, few, _ = play(mode)
    expected, all_of_them, _ = play(mode, boxes=True)
    assert [kind for kind, _ in told] == [kind for kind, _ in expected]
    for (kind, when), (_, then) in zip(told, expected, strict=True):
        assert when == then if kind == "label_detected" else abs(when - then) <= 1.0
    assert len(all_of_them.looked) == SECONDS * FPS
    assert len(few.looked) < (0.3 if mode == "session" else 0.65) * len(all_of_them.looked)
    assert not few.rates, "evidence is reckoned as ever"


def test_whoever_has_left_is_missed_by_the_next_frame_and_from_then_on_every_frame_counts() -> None:
    _, perceiver, _ = play("continuous")
    gone = [when for when in perceiver.looked if 14.0 <= when < 22.0]
    assert gone[0] <= 15.0
    assert all(after - before <= 1 / FPS + 1e-6 for before, after in pairwise(gone))


def test_feeds_that_can_be_read_again_and_open_classes_are_analysed_as_asked() -> None:
    for looked in (play("continuous", live=False)[1].looked, play("continuous", classes=("PERSON", "PET"))[1].looked):
        assert len(looked) == SECONDS * FPS


def test_a_gap_asks_for_every_frame_again() -> None:
    _, perceiver, lane = play("session")
    [analysis] = lane.frames.analyses.items
    assert analysis.sampler.fps == 1
    analysis.reset()
    assert analysis.sampler.fps == FPS and not perceiver.rates

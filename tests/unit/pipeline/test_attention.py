"""A live lane analyses what could still tell something, and tells the same; fake frames, the real analysis, session and schedule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import pytest

from streamproc.config.processor import LabelSettings
from streamproc.config.schedule import ScheduleSettings
from streamproc.contracts import SourceTraits
from streamproc.core.media import EndOfStream, Frame
from streamproc.core.observation import Observation, TrackView
from streamproc.core.vision import Box
from streamproc.logic.hours import Hours, Override
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import SessionRules, Sessions
from streamproc.pipeline.label_analysis import LabelAnalysis
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
    hours: Hours | None = None,
    begins: timedelta = timedelta(0),
) -> tuple[list[tuple[str, float]], Perceiver, Lane]:
    """``begins``: at what time of the day."""
    perceiver, book, hours = Perceiver(), Book(), hours or Hours()
    settings = LabelSettings.model_validate({"classes": classes})
    analysis = LabelAnalysis(perceiver, settings, Sampler(FPS), RegionMap(()))
    analysis.hours = hours
    rules = SessionRules(mode, None, Fraction(4), classes=classes)
    traits, sessions = SourceTraits(live, replayable=not live), Sessions("door", rules, "run")
    lane = Lane(LaneSetup("door", traits, sessions, [analysis], book, hours=hours))
    lane.frames.boxes_wanted = lambda: boxes
    for number in range(SECONDS * RATE):
        when = at(number / RATE)
        lane.offer(replace(frame(number / RATE), at=replace(when, wall=when.wall + begins)), None, NEVER)
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


def noon(*active: str) -> Hours:
    return Hours(ScheduleSettings(timezone="UTC", active=active).schedule())


@pytest.mark.parametrize("mode", ["session", "continuous"])
@pytest.mark.parametrize("live", [True, False])
def test_who_is_still_there_when_the_hours_begin_is_announced_then(
    mode: Literal["session", "continuous"], live: bool
) -> None:
    told, perceiver, _ = play(mode, live=live, hours=noon("12:00-13:00"), begins=timedelta(hours=12, seconds=-8))
    announced = [when for kind, when in told if kind == "label_detected"]
    assert len(announced) == (1 if mode == "session" else len(VISITS))
    assert 8.0 <= announced[0] <= 9.0, "the first visit lasts from 2 s to 14 s"
    assert min(perceiver.looked) >= 8.0, "nothing is looked at before"


@pytest.mark.parametrize("mode", ["session", "continuous"])
def test_whoever_comes_after_the_hours_is_not_announced(mode: Literal["session", "continuous"]) -> None:
    told, perceiver, _ = play(mode, hours=noon("11:00-12:00"), begins=timedelta(hours=12, seconds=-20))
    assert [kind for kind, _ in told] == ["label_detected", "session_complete"]
    assert told[0][1] < 3.0
    assert max(perceiver.looked) < 20.0


def test_a_pause_ends_by_itself_and_who_is_there_is_announced() -> None:
    hours = Hours()
    hours.override = Override("pause", at(8.0).wall)
    told, _, _ = play("session", hours=hours)
    assert told[0][0] == "label_detected" and 8.0 <= told[0][1] <= 9.0


def test_a_visit_that_lasts_longer_than_the_hours_is_over_with_them() -> None:
    told, _, lane = play("continuous", hours=noon("11:00-12:00"), begins=timedelta(hours=12, seconds=-8))
    assert [kind for kind, _ in told] == ["label_detected", "session_complete"]
    assert told[1][1] <= 8.0 + 4.0 and lane.sessions.in_view == (), "nobody is shown in view all night"

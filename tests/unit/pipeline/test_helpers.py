"""The pure helpers of a lane: urgency, silence, analyses as one, checkpoints' times, observers."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import StateDamaged
from streamproc.core.media import EndOfStream, Frame, Gap, GapReason, Moment, Packet, Picture, StreamItem
from streamproc.core.vision import Box
from streamproc.logic.attention import EVERYTHING, OpenNews
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.sighting import Sighting
from streamproc.pipeline import stall
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.analysis_set import MOST_STRETCHED_S, AnalysisSet
from streamproc.pipeline.inbox import Queued
from streamproc.pipeline.observers import Observers
from streamproc.pipeline.recorder import CHECKPOINT_LIVE_S, CHECKPOINT_S, Decision, Recorder
from streamproc.pipeline.schedule import (
    BEHIND_IN_A_CROWD_S,
    FAR_BEHIND_S,
    SLACK_CATCH_UP_S,
    SLACK_DURABLE_S,
    SLACK_PRESENCE_S,
    FrameSchedule,
)
from streamproc.pipeline.snapshot import LaneSnapshot, LaneState
from streamproc.pipeline.stall import FeedStatus, StallVerdict, judge
from tests.builders.frames import frame

NOW = datetime(2024, 5, 4, tzinfo=UTC)
LIVE, DURABLE = SourceTraits(live=True), SourceTraits(live=False)


def at(media: float) -> Moment:
    return Moment(Fraction(media), NOW + timedelta(seconds=media))


def packet(media: float = 0, keyframe: bool = False) -> Packet:
    return Packet(None, at(media), 100, keyframe)


def queued(item: StreamItem, arrived: float = 50.0) -> Queued:
    return Queued(item, None, arrived)


# -- schedule


@pytest.mark.parametrize(
    ("next_due", "newest", "slack"),
    [(None, 3, 0.0), (3, 3, 0.0), (2, 3, 0.0), (4, 3, SLACK_CATCH_UP_S), (4, None, SLACK_CATCH_UP_S)],
)
def test_a_live_feed_is_urgent_once_a_frame_that_is_due_is_there(
    next_due: float | None, newest: float | None, slack: float
) -> None:
    schedule = FrameSchedule()
    schedule.plan(None if next_due is None else Fraction(next_due))
    assert schedule.deadline(queued(packet()), None if newest is None else Fraction(newest)) == 50 + slack


def test_what_was_held_back_takes_its_turn_and_what_is_no_picture_does_not_wait() -> None:
    schedule = FrameSchedule()
    assert schedule.deadline(queued(packet()), None, held_back_since=60.0) == 60 + SLACK_CATCH_UP_S / 2
    assert schedule.deadline(queued(packet()), None, held_back_since=40.0) == 50 + SLACK_CATCH_UP_S / 2
    for item in (Gap(GapReason.LOST, at(0)), EndOfStream()):
        schedule.served = 99.0
        assert schedule.deadline(queued(item), None, held_back_since=60.0) == 50
        assert schedule.deadline_durable(queued(item)) == 50


def test_a_durable_feed_counts_from_when_it_was_served_last() -> None:
    schedule = FrameSchedule()
    assert schedule.deadline_durable(queued(packet())) == 50 + SLACK_DURABLE_S
    schedule.served = 70.0
    assert schedule.deadline_durable(queued(packet())) == 70 + SLACK_DURABLE_S


def test_a_first_look_goes_before_second_ones_and_news_before_presence() -> None:
    schedule = FrameSchedule()
    held, now = queued(packet(), arrived=48.0), queued(packet(), arrived=49.0)
    first = schedule.deadline(now, Fraction(0), first=True)
    assert first < 48.0 < schedule.deadline(now, Fraction(0)) < schedule.deadline(held, Fraction(0), 49.5)
    assert schedule.deadline(now, Fraction(0), presence_only=True) == 49.0 + SLACK_PRESENCE_S
    assert FrameSchedule.is_stale(now, 49.0 + BEHIND_IN_A_CROWD_S, crowded=True)
    assert not FrameSchedule.is_stale(now, 49.0 + BEHIND_IN_A_CROWD_S)


def test_packets_go_stale_and_gaps_do_not() -> None:
    assert FrameSchedule.is_stale(queued(packet()), 50 + FAR_BEHIND_S)
    assert not FrameSchedule.is_stale(queued(packet()), 50 + FAR_BEHIND_S - 0.01)
    assert not FrameSchedule.is_stale(queued(EndOfStream()), 999)


# -- stall


def feed(
    traits: SourceTraits = LIVE,
    *,
    running: bool = True,
    asleep: bool = False,
    waiting: bool = False,
    quiet_s: float = 0.0,
    reading: bool = True,
) -> FeedStatus:
    return FeedStatus(traits, running, asleep, waiting, quiet_s, reading)


@pytest.mark.parametrize(
    ("status", "last", "allowed", "verdict"),
    [
        (feed(quiet_s=14), at(5), None, stall.QUIET),
        (feed(quiet_s=16), at(5), None, StallVerdict(stalled=True)),
        (feed(running=False, quiet_s=16), at(5), None, stall.QUIET),
        (feed(DURABLE, quiet_s=16), at(5), None, stall.QUIET),
        (feed(waiting=True, quiet_s=16), at(5), Fraction(1), stall.QUIET),
        (feed(asleep=True, quiet_s=2), at(5), Fraction(1), stall.QUIET),
        (feed(asleep=True, quiet_s=4), at(5), Fraction(1), StallVerdict(wake=True)),
        (feed(quiet_s=5.9), at(5), Fraction(5), stall.QUIET),
        (feed(quiet_s=6.5), at(5), Fraction(5), StallVerdict(over=at(11.5))),
        (feed(DURABLE, quiet_s=19), at(5), Fraction(5), stall.QUIET),
        (feed(DURABLE, quiet_s=21), at(5), Fraction(5), StallVerdict(over=at(26))),
        (feed(DURABLE, quiet_s=64, reading=False), at(5), Fraction(5), stall.QUIET),
        (feed(DURABLE, quiet_s=66, reading=False), at(5), Fraction(5), StallVerdict(over=at(71))),
        (feed(quiet_s=16), at(5), Fraction(5), StallVerdict(stalled=True, over=at(21))),
        (feed(running=False, quiet_s=14), None, Fraction(5), stall.QUIET),
        (feed(running=False, quiet_s=16), None, Fraction(5), StallVerdict(over=at(0))),
        (feed(SourceTraits(True, waits_for_publisher=True), running=False, quiet_s=99), None, Fraction(5), stall.QUIET),
        (feed(DURABLE, running=False, quiet_s=99), None, Fraction(5), stall.QUIET),
    ],
)
def test_what_silence_means(
    status: FeedStatus, last: Moment | None, allowed: Fraction | None, verdict: StallVerdict
) -> None:
    found = judge(status, last, allowed, NOW)
    assert found == verdict and bool(found) is (verdict != stall.QUIET)


# -- analyses as one


class Counting:
    """An analysis that notes what it was given."""

    def __init__(self, fps: float) -> None:
        self.sampler = Sampler(fps)
        self.frames: list[float] = []
        self.resets = 0
        self.spacings: list[float] = []
        self.only_presence = False

    def attend(self, news: OpenNews) -> bool:
        return self.only_presence

    def spaced(self, seconds: float) -> None:
        self.spacings.append(seconds)

    def conclude(self) -> list[Sighting]:
        return []

    def hides(self, picture: Picture) -> list[Box]:
        return []

    def analyse(self, frame: Frame) -> FrameResult:
        self.frames.append(frame.at.seconds)
        return FrameResult(active=False)

    def reset(self) -> None:
        self.resets += 1
        self.sampler.reset()

    def snapshot(self) -> Any:
        return list(self.frames)

    def restore(self, state: Any) -> None:
        if not isinstance(state, list):
            raise StateDamaged("no list")
        self.frames = list(state)


def both() -> tuple[Counting, Counting, AnalysisSet]:
    fast, slow = Counting(4), Counting(1)
    return fast, slow, AnalysisSet("door", [fast, slow])  # type: ignore[list-item]


def test_each_analysis_has_its_own_rate_and_the_next_frame_is_due_for_the_first_of_them() -> None:
    fast, slow, analyses = both()
    assert analyses.next_due() is None
    for number in range(9):
        frame = Frame(at(number / 8), None)  # type: ignore[arg-type]
        analyses.analyse(frame, analyses.due(frame.at.media))
    assert (fast.frames, slow.frames) == ([0, 0.25, 0.5, 0.75, 1], [0, 1])
    assert analyses.next_due() == Fraction(5, 4)
    assert not analyses.pass_over(Fraction(9, 8)) and analyses.pass_over(Fraction(10, 8))
    assert analyses.next_due() == Fraction(6, 4)
    analyses.reset()
    assert analyses.next_due() is None and fast.resets == slow.resets == 1


def test_looks_that_are_far_apart_since_frames_were_dropped_are_told_so_for_as_long_as_that_is_so() -> None:
    fast, _, analyses = both()
    picture = frame(0)

    def look(media: float) -> None:
        place = Moment(Fraction(media), picture.at.wall)
        analyses.analyse(Frame(place, picture.picture), [fast])  # type: ignore[list-item]

    look(0.0)
    look(0.25)
    assert fast.spacings == []
    assert analyses.pass_over(Fraction(1, 2))
    look(1.5)
    look(1.75)
    look(2.0)
    assert fast.spacings == [1.25, 0.0], "once, and once that it is over"
    analyses.pass_over(Fraction(9))
    look(30.0)
    assert fast.spacings[2:] == [MOST_STRETCHED_S]


def test_only_presence_counts_where_it_does_for_all() -> None:
    fast, slow, analyses = both()
    fast.only_presence = True
    analyses.attend(EVERYTHING)
    assert analyses.presence_within is None
    slow.only_presence = True
    analyses.attend(OpenNews(False, gone_after=Fraction(6)))
    assert analyses.presence_within == 3
    analyses.reset()
    assert analyses.presence_within is None, "after a gap everything is news"


def test_state_that_one_cannot_take_up_leaves_the_others() -> None:
    fast, slow, analyses = both()
    analyses.restore([[1.0], {"another": "version"}])
    assert fast.frames == [1.0] and (slow.frames, slow.resets) == ([], 1)
    analyses.restore([[2.0]])
    assert fast.frames == [1.0], "saved of another set of analyses"
    assert analyses.snapshot() == [[1.0], []]


# -- recorder


class Book:
    def __init__(self) -> None:
        self.states: list[LaneState | None] = []

    def commit(self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None) -> bool:
        self.states.append(state)
        return True


def test_checkpoints_fall_due_sooner_where_a_feed_can_be_read_again() -> None:
    recorder = Recorder(Book(), True, lambda position: None)
    recorder.note(10.0)
    assert recorder.is_due(False, 10 + CHECKPOINT_S) and not recorder.is_due(True, 10 + CHECKPOINT_S)
    assert recorder.is_due(True, 10 + CHECKPOINT_LIVE_S)
    assert not Recorder(Book(), False, lambda position: None).is_due(False, 1e9)


def test_a_position_is_told_once_it_is_durable() -> None:
    order: list[object] = []

    class Slow(Book):
        def commit(self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None) -> bool:
            order.append("committed")
            return True

    recorder = Recorder(Slow(), True, order.append)
    sessions = Sessions("door", SessionRules(), "run")
    state = LaneState(LaneSnapshot(sessions.snapshot()), None)
    recorder.commit([], sessions, state, Position({"offset": 3}))
    recorder.commit([], sessions, state, None)
    assert order == ["committed", Position({"offset": 3}), "committed"]


# -- observers


def test_observers_come_and_go_while_others_are_called() -> None:
    observers: Observers[Any] = Observers()
    seen: list[str] = []

    def first(word: str) -> None:
        seen.append(f"first {word}")
        observers.remove(first)
        observers.add(second)

    def second(word: str) -> None:
        seen.append(f"second {word}")

    observers.add(first)
    for word in ("a", "b"):
        for observer in observers.all():
            observer(word)
    observers.remove(first)
    assert seen == ["first a", "second b"]


def test_observers_added_in_many_threads_are_all_there() -> None:
    observers: Observers[Any] = Observers()
    threads = [threading.Thread(target=lambda n=n: observers.add(print if n % 2 else repr)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(observers.all()) == 50

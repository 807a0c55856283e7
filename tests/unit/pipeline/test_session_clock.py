"""The session's clock: exact, going on across sources and restarts, never back."""

from datetime import timedelta
from fractions import Fraction

import pytest

from streamproc.core.media import EPOCH, Gap, GapReason, Moment
from streamproc.pipeline.session_clock import JUMP, LEAST_STEP, SessionClock, later_of


def at(media: float | Fraction, wall: float | None = None) -> Moment:
    return Moment(Fraction(media), EPOCH + timedelta(seconds=float(media if wall is None else wall)))


def test_a_feed_that_begins_at_zero_is_taken_as_it_is() -> None:
    clock = SessionClock()
    instant = at(Fraction(1, 3))
    assert clock.place(instant, None) == (instant, False)
    assert (clock.shift, clock.seen) == (0, Fraction(1, 3))
    assert clock.to_session(Fraction(2)) == 2


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        (14.25, Fraction(57, 4)),
        (10.0, 10 + LEAST_STEP),
        (9.0, 10 + LEAST_STEP),
        (54 * 365.25 * 86_400, 10 + LEAST_STEP),  # booted in 1972, then the clock was set
    ],
)
def test_another_source_goes_on_behind_the_last_frame_by_wall_time(wall: float, expected: Fraction) -> None:
    clock, last = SessionClock(), at(10)
    clock.place(last, None)
    clock.attach()
    assert clock.shift is None
    placed, jumped = clock.place(at(5000, wall), last)
    assert (placed.media, jumped) == (expected, False)
    assert clock.place(at(5001, wall + 1), placed)[0].media == expected + 1
    assert clock.to_session(Fraction(5000)) == expected


def test_a_new_session_in_a_backlog_begins_at_zero() -> None:
    clock = SessionClock()
    clock.begin_after(Fraction(700))
    assert clock.seen == 700
    assert clock.place(at(701), None)[0].media == 0
    assert clock.place(at(703), at(0))[0].media == 2


@pytest.mark.parametrize(
    ("away", "live", "jumps"), [(JUMP, True, False), (JUMP * 3, True, True), (JUMP * 3, False, False)]
)
def test_the_jump_of_a_restart_is_told_once_and_of_live_feeds_only(away: Fraction, live: bool, jumps: bool) -> None:
    clock, last = SessionClock(), at(10)
    clock.resume(live=live)
    placed, jumped = clock.place(at(0, float(10 + away)), last)
    assert (placed.media, jumped) == (10 + away, jumps)
    assert clock.place(at(100, 200), placed)[1] is False


def test_a_source_that_goes_on_in_its_count_keeps_its_shift() -> None:
    clock = SessionClock()
    clock.resume_at(Fraction(-4), Fraction(9), live=False)
    assert (clock.shift, clock.seen) == (-4, 9)
    assert clock.place(at(10), at(5))[0].media == 6


def test_gaps_are_placed_and_never_before_the_last_frame() -> None:
    clock = SessionClock()
    clock.resume_at(Fraction(2), None, live=True)
    gap = clock.place_gap(Gap(GapReason.LOST, at(3)))
    assert gap.at.media == 5
    assert later_of(gap, at(8)).at == at(8) and later_of(gap, at(4)) is gap and later_of(gap, None) is gap
    clock.attach()
    assert clock.place_gap(Gap(GapReason.LOST, at(3))).at.media == 3, "not known yet: taken as it is"


def test_when_the_session_wants_a_frame_in_the_sources_count() -> None:
    clock = SessionClock()
    assert clock.source_time_in(Fraction(5)) is None
    clock.resume_at(Fraction(-4), Fraction(9), live=True)
    assert clock.source_time_in(Fraction(5)) == 14 and clock.source_time_in(None) is None

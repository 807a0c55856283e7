"""Timestamps that no sane encoder makes, and the media time that comes of them."""

from __future__ import annotations

import json
from fractions import Fraction as F
from itertools import pairwise

import pytest

from streamproc.logic.timeline import LiveTimeline, Timeline

CASES = {
    "starts anywhere": ([(5, 5), (6, 6)], None, [0, 1]),
    "reordered": ([(10, 8), (13, 9), (11, 10), (12, 11)], None, [0, 3, 1, 2]),
    "variable rate is kept": ([(0, 0), (F(1, 3), F(1, 3)), (7, 7)], None, [0, F(1, 3), 7]),
    "a long pause of a file is a pause": ([(0, 0), (60, 60)], None, [0, 60]),
    "a file's clock that was set anew in mid-stream": ([(0, 0), (1, 1), (10**9, 10**9)], None, [0, 1, F(26, 25)]),
    "reordered, the decode times are set anew later": (
        [(0, 0), (1, 1), (10**9, 2), (10**9 + 1, 10**9)],
        None,
        [0, 1, 2, F(76, 25)],
    ),
    "a broken clock jumps forward": ([(0, 0), (1, 1), (5000, 5000), (5001, 5001)], F(10), [0, 1, F(26, 25), F(51, 25)]),
    "a clock that wraps": ([(95443, 95443), (95444, 95444), (1, 1), (2, 2)], None, [0, 1, F(26, 25), F(51, 25)]),
    "no pts": ([(None, 3), (None, 4)], None, [0, 1]),
    "no dts": ([(3, None), (4, None)], None, [0, 1]),
    "no time at all": ([(None, None)] * 3, None, [0, F(1, 25), F(2, 25)]),
    "time goes missing": ([(4, 4), (None, None), (5, 5)], None, [0, F(1, 25), 1]),
}


def fraction(value: int | F | None) -> F | None:
    return None if value is None else F(value)


@pytest.mark.parametrize("packets,jump,expected", CASES.values(), ids=CASES.keys())
def test_stored(packets: list, jump: F | None, expected: list) -> None:
    timeline = Timeline(jump=jump)
    assert [timeline.place(fraction(pts), fraction(dts)) for pts, dts in packets] == expected


def test_a_keyframe_that_steps_back_begins_anew_however_short_the_step() -> None:
    """Fragments under a second whose timestamps each start at nought, one after the other."""
    timeline = Timeline()
    stamps = [F(n, 10) for n in range(8)] * 3
    placed = [timeline.place(stamp, stamp, F(1, 10), keyframe=stamp == 0) for stamp in stamps]
    assert placed == [F(n, 10) for n in range(24)] and timeline.jumps == 2


def test_timestamps_that_stand_are_counted_on_by_the_nominal_rate() -> None:
    timeline = Timeline()
    placed = [timeline.place(F(0), F(0), F(1, 10), keyframe=n % 10 == 0) for n in range(30)]
    assert placed == [F(n, 10) for n in range(30)] and timeline.stood == 29
    again = Timeline()
    again.restore(json.loads(json.dumps(timeline.snapshot())))
    assert again.place(F(0), F(0), F(1, 10)) == 3


def test_timestamps_that_creep_are_counted_on_by_the_nominal_rate() -> None:
    """A muxer that wants growing timestamps, of a camera whose clock stands: each a tick after the one before."""
    timeline = Timeline()
    placed = [timeline.place(5 + F(n, 10240), 5 + F(n, 10240), F(1, 10)) for n in range(30)]
    assert placed == [F(n, 10) for n in range(30)] and timeline.stood == 29


def test_a_pair_of_equal_timestamps_does_not_move_what_follows() -> None:
    timeline = Timeline()
    stamps = [F(0), F(1, 10), F(1, 10), F(3, 10), F(4, 10)]
    assert [timeline.place(stamp, stamp, F(1, 10)) for stamp in stamps] == [0, F(1, 10), F(2, 10), F(3, 10), F(4, 10)]


def test_a_loop_goes_on_counting() -> None:
    timeline = Timeline()
    for _ in range(2):
        start = timeline.place(F(100), F(100), F(1, 10))
        timeline.place(F(101), F(101), F(1, 10))
        timeline.restart(timeline.end)
    assert start == F(11, 10)


def test_media_time_counts_from_the_first_picture_that_is_shown() -> None:
    timeline = Timeline()
    placed = [timeline.place(F(n, 10), F(n, 10), F(1, 10), lead=F(max(0, 3 - n), 10)) for n in range(5)]
    assert placed == [F(n, 10) for n in (-3, -2, -1, 0, 1)]


def test_a_snapshot_goes_on_in_the_same_count() -> None:
    first, second = Timeline(), Timeline()
    first.place(F(7), F(7))
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert second.place(F(9), F(9)) == first.place(F(9), F(9)) == 2


def test_live_media_time_follows_the_cameras_clock_not_the_jitter() -> None:
    timeline = LiveTimeline()
    media = [
        timeline.place(F(n, 10), F(n, 10), 50 + n / 10 + jitter) for n, jitter in enumerate([0, 0.08, 0.03, 0.3, 0])
    ]
    assert media == [0, F(1, 10), F(2, 10), F(3, 10), F(4, 10)]


def test_live_gap_is_bridged_by_arrival() -> None:
    timeline = LiveTimeline()
    timeline.place(F(100), F(100), 10.0)
    timeline.place(F(101), F(101), 11.0)
    timeline.gap()
    assert timeline.place(F(3), F(3), 31.0) == 21
    assert timeline.place(F(4), F(4), 32.1) == 22


@pytest.mark.parametrize("pts,arrival", [(900_000, 12.0), (-50, 12.0), (F(0), 12.0)])
def test_live_clock_that_jumps_is_replaced_by_arrival(pts: F, arrival: float) -> None:
    timeline = LiveTimeline()
    timeline.place(F(100), F(100), 10.0)
    timeline.place(F(101), F(101), 11.0)
    assert timeline.place(F(pts), F(pts), arrival) == 2
    assert timeline.jumps == 1


def test_live_burst_after_a_network_stall_keeps_the_cameras_time() -> None:
    timeline = LiveTimeline()
    timeline.place(F(0), F(0), 0.0)
    burst = [timeline.place(F(n), F(n), 4.0 + n / 100) for n in range(1, 5)]
    assert [round(float(media), 1) for media in burst] == [1, 2, 3, 4]


def test_live_packet_without_time_is_one_step_on() -> None:
    timeline = LiveTimeline()
    for n in range(3):
        timeline.place(F(n, 10), F(n, 10), n / 10)
    assert F(3, 10) <= timeline.place(None, None, 2.9) < F(31, 100)
    assert timeline.place(F(4, 10), F(4, 10), 2.9) >= F(4, 10)


def test_live_drift_is_steered_back_without_a_jump() -> None:
    timeline = LiveTimeline()
    media, last = F(0), F(-1)
    for n in range(40_000):
        media = timeline.place(F(n) * F(10_003, 10_000), F(n) * F(10_003, 10_000), float(n))
        assert media > last
        last = media
    assert timeline.jumps == 0
    assert abs(float(media) - 39_999) < 1


@pytest.mark.parametrize("rate", [F(0), F(1, 90), F(1, 10), F(10)], ids=["stands", "1 kHz", "a tenth", "ten times"])
def test_a_live_clock_of_another_pace_than_arrival_is_not_believed(rate: F) -> None:
    timeline = LiveTimeline()
    placed = [(n / 15, timeline.place(F(n, 15) * rate, F(n, 15) * rate, n / 15)) for n in range(300)]
    assert not timeline.believed
    assert all(after > before for (_, before), (_, after) in pairwise(placed[90:]))
    assert all(abs(float(media) - at) < 0.1 for at, media in placed[150:] if rate < 1)


def test_a_clock_that_is_put_right_is_believed_again() -> None:
    timeline = LiveTimeline()
    for n in range(150):
        timeline.place(F(0), F(0), n / 15)
    assert not timeline.believed
    media = [timeline.place(F(n, 15), F(n, 15), n / 15) for n in range(150, 300)]
    assert timeline.believed and media == sorted(set(media))


def test_a_burst_at_the_beginning_and_network_stalls_do_not_cost_a_clock_its_belief() -> None:
    timeline = LiveTimeline()
    for n in range(600):
        late = max(0.0, 3.0 - n / 15) if n < 45 else 2.0 if n % 200 in range(20, 50) else 0.0
        timeline.place(F(n, 15), F(n, 15), max(n / 15 + late, 3.0))
        assert timeline.believed

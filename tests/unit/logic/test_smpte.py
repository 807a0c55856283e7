"""Timecodes against a counter that counts frame by frame, and the service's own sample."""

from fractions import Fraction

import pytest

from streamproc.logic.smpte import floor_ms, snap_rate, timecode

NTSC = Fraction(30000, 1001)


def counted(frames: int, base: int, dropped: int) -> str:
    """SMPTE 12M by counting."""
    hours = minutes = seconds = number = 0
    for _ in range(frames):
        number += 1
        if number == base:
            number, seconds = 0, seconds + 1
            if seconds == 60:
                seconds, minutes = 0, minutes + 1
                if minutes == 60:
                    minutes, hours = 0, hours + 1
                if minutes % 10:
                    number = dropped
    return f"{hours:02d}:{minutes:02d}:{seconds:02d};{number:02d}"


@pytest.mark.parametrize("frames", [0, 149, 150, 1799, 1800, 3597, 3598, 17981, 17982, 19781, 35964])
def test_drop_frame_equals_counting(frames: int) -> None:
    assert timecode(frames, NTSC) == counted(frames, 30, 2)
    assert timecode(frames, Fraction(60000, 1001)) == counted(frames, 60, 4)


@pytest.mark.parametrize(
    ("frames", "rate", "expected"),
    [
        (149, NTSC, "00:00:04;29"),
        (107892, NTSC, "01:00:00;00"),
        (24, Fraction(24000, 1001), "00:00:01:00"),
        (2500, Fraction(25), "00:01:40:00"),
        (100, Fraction(2997, 125), "00:00:04:04"),
        (1799, Fraction(30), "00:00:59:29"),
        (12, Fraction(25, 2), "00:00:00:12"),
    ],
)
def test_timecode(frames: int, rate: Fraction, expected: str) -> None:
    assert timecode(frames, rate) == expected


@pytest.mark.parametrize(("frame", "milliseconds"), [(299, 9976), (300, 10010), (449, 14981)])
def test_milliseconds_are_floored(frame: int, milliseconds: int) -> None:
    assert floor_ms(frame / NTSC) == milliseconds


def test_rounded_rates_are_the_standard_ones() -> None:
    assert snap_rate(Fraction(2997, 100)) == NTSC
    assert snap_rate(Fraction(50, 3)) == Fraction(50, 3)

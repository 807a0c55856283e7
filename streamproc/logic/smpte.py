"""SMPTE 12M timecodes: frame counts as HH:MM:SS:FF, with ``;`` before the frames where drop-frame counting is used."""

from __future__ import annotations

from fractions import Fraction

STANDARD_RATES = tuple(
    Fraction(value)
    for value in (
        "24000/1001", "24", "25", "30000/1001", "30", "48000/1001", "48", "50", "60000/1001", "60", "100", "120000/1001", "120"
    )
)  # fmt: skip


def snap_rate(rate: Fraction) -> Fraction:
    """The standard frame rate within 0.02 % of ``rate``, else ``rate`` itself (containers round 30000/1001 to 29.97)."""
    best = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return best if abs(best - rate) <= best / 5000 else rate


def timecode(frames: int, rate: Fraction) -> str:
    """Timecode of frame number ``frames`` at ``rate`` frames a second. Hours go on past 24.

    Drop-frame for 29.97 (two numbers a minute are left out) and 59.94 (four), but in each tenth minute; all else counts plainly
    at the next whole rate.
    """
    rate = snap_rate(rate)
    base = max(1, -(-rate.numerator // rate.denominator))
    drops = rate in (Fraction(30000, 1001), Fraction(60000, 1001))
    if drops:
        skipped = base // 15
        per_ten, per_minute = base * 600 - 9 * skipped, base * 60 - skipped
        tens, rest = divmod(frames, per_ten)
        frames += 9 * skipped * tens
        if rest >= skipped:
            frames += skipped * ((rest - skipped) // per_minute)
    seconds, number = divmod(frames, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    width = 3 if base > 100 else 2
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if drops else ':'}{number:0{width}d}"


def floor_ms(seconds: Fraction) -> int:
    """Whole milliseconds, rounded down, as the service's timestamps are."""
    return int(seconds * 1000 // 1)

"""Which frames of a stored video are analysed: one grid for every analysis, so that they can share what detectors found."""

from __future__ import annotations

from fractions import Fraction

FINE_A_SECOND = 12
"""Analysed frames for persons, at least, where the video has so many: tracking needs more than recognising."""
COARSE_A_SECOND = 6
"""Analysed frames for faces and labels, at least (the interface promises 5)."""


def fine_step(rate: Fraction) -> int:
    """N, where every Nth frame is analysed for persons. ``rate``: frames a second."""
    return max(1, int(rate / FINE_A_SECOND))


def coarse_step(rate: Fraction) -> int:
    """N, where every Nth frame is analysed for faces and labels: a multiple of ``fine_step``."""
    fine = fine_step(rate)
    return fine * max(1, int(rate / COARSE_A_SECOND / fine))

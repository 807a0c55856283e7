"""Which frames of a stored video are looked at closely: one grid for every analysis, so that they can share their looks."""

from __future__ import annotations

from fractions import Fraction

FINE_A_SECOND = 12
"""Looks for persons, at least, where the video has so many frames: following needs more than recognising."""
COARSE_A_SECOND = 6
"""Looks for faces and labels, at least (the interface promises 5)."""


def fine_step(rate: Fraction) -> int:
    """Every so manieth frame is looked at for persons."""
    return max(1, int(rate / FINE_A_SECOND))


def coarse_step(rate: Fraction) -> int:
    """Every so manieth frame is looked at for faces: a multiple of ``fine_step``."""
    fine = fine_step(rate)
    return fine * max(1, int(rate / COARSE_A_SECOND / fine))

"""Which frames of a stored video are analysed: one grid for every analysis, so that they can share what detectors found."""

from __future__ import annotations

from fractions import Fraction

FINE_A_SECOND = 12
"""Frames at which persons are told, at least, where the video has so many."""
COARSE_A_SECOND = 6
"""Analysed frames for faces and labels, at least (the interface promises 5)."""
LOOKS_A_SECOND = 5
"""Frames that are looked at for persons, at least, where people meet, come or go."""


def fine_step(rate: Fraction) -> int:
    """N, where persons are told at every Nth frame. ``rate``: frames a second."""
    return max(1, int(rate / FINE_A_SECOND))


def coarse_step(rate: Fraction) -> int:
    """N, where every Nth frame is analysed for faces and labels: a multiple of ``fine_step``."""
    fine = fine_step(rate)
    return fine * max(1, int(rate / COARSE_A_SECOND / fine))


def look_step(rate: Fraction) -> int:
    """N, where every Nth frame may be looked at for persons: a multiple of ``coarse_step``."""
    coarse = coarse_step(rate)
    return coarse * max(1, int(rate / LOOKS_A_SECOND / coarse))

"""Whether something that was seen badly reaches behind a privacy mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shapely.geometry import Polygon
from shapely.geometry import box as rectangle

from streamproc.core.decisions import Candidate, Gate, Refusal
from streamproc.core.vision import Box

Mask = tuple[str, Sequence[tuple[float, float]]]
"""Name (empty: none) and corners in 0..1 of the frame."""
_BADLY_SEEN = (Gate.DETECTOR, Gate.SCORE, Gate.EVIDENCE)
_COVERED = 0.25
"""Models guess at what they cannot see, so a box reaches into the black: with so much of it there, little was seen."""
_CUT = 0.6
"""Of one side of the box: along so much of it the mask begins right there."""
_BESIDE = 0.06
"""How far beside the box that is looked for, in shares of its size."""


def blamed(candidate: Candidate, masks: Sequence[Mask]) -> Candidate:
    """The candidate, refused by the mask that hides a part of it where it was refused for being seen badly."""
    refusal = candidate.refusal
    if refusal is None or refusal.gate not in _BADLY_SEEN or refusal.kind == "class" or not masks:
        return candidate
    reaches = [(*_reach(candidate.box, points), name) for name, points in masks]
    covered, _, name = max(reaches)
    if covered >= _COVERED:
        return replace(candidate, refusal=Refusal(Gate.MASK, "covered", covered, _COVERED, name))
    _, cut, name = max(reaches, key=lambda reach: reach[1])
    return replace(candidate, refusal=Refusal(Gate.MASK, "cut", cut, _CUT, name)) if cut >= _CUT else candidate


def _reach(box: Box, points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Share of the box behind the mask, and of the side where most of it begins there."""
    shape, (left, top, right, bottom) = Polygon(points), box
    if right <= left or bottom <= top:
        return 0.0, 0.0
    x, y = (right - left) * _BESIDE, (bottom - top) * _BESIDE
    sides = (
        rectangle(left - x, top, left, bottom),
        rectangle(right, top, right + x, bottom),
        rectangle(left, top - y, right, top),
        rectangle(left, bottom, right, bottom + y),
    )
    cut = max(float(shape.intersection(side).area / side.area) for side in sides)
    return float(shape.intersection(rectangle(*box)).area) / box.area, cut

"""Regions of interest, as drawn by the user."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RegionRule(StrEnum):
    """When an object counts as inside a region."""

    OVERLAP = "overlap"
    """More than a share of the object's area is inside (the service's rule: more than half)."""
    FEET = "feet"
    """The middle of the box's lower edge is inside."""
    CENTRE = "centre"
    """The middle of the box is inside."""
    INTERSECT = "intersect"
    """Any part is inside."""
    CONTAIN = "contain"
    """The whole box is inside."""


@dataclass(frozen=True, slots=True)
class Region:
    """A polygon (a box is one of four corners) in 0..1 of the upright frame, with its rule."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Three or more corners, in order; concave is fine, crossing itself is not."""
    rule: RegionRule = RegionRule.OVERLAP
    share: float = 0.5
    """For OVERLAP: the share of the object's area that must be exceeded."""

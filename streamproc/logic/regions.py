"""Whether an object is inside one of the user's regions, by exact polygon area.

The service's rule: an object counts when more than half of its area overlaps a region. The object is its box, clipped to the frame:
what lies outside of the picture can be in no region, so it may not count against one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from shapely.geometry import Point, Polygon
from shapely.geometry import box as rectangle

from streamproc.core.decisions import Gate, Refusal
from streamproc.core.event import RegionHit
from streamproc.core.region import Region, RegionRule
from streamproc.core.vision import Box

EVERYWHERE = RegionHit(name=None, overlap=1.0)
_TOUCH = 1e-9
"""Areas are of the order of 1; smaller than this is rounding."""


def _feet(shape: Polygon, area: Box, share: float, overlap: float) -> bool:
    return bool(shape.covers(Point((area.left + area.right) / 2, area.bottom)))


def _centre(shape: Polygon, area: Box, share: float, overlap: float) -> bool:
    return bool(shape.covers(Point((area.left + area.right) / 2, (area.top + area.bottom) / 2)))


_RULES: dict[RegionRule, Callable[[Polygon, Box, float, float], bool]] = {
    RegionRule.OVERLAP: lambda shape, area, share, overlap: overlap > share + _TOUCH,
    RegionRule.FEET: _feet,
    RegionRule.CENTRE: _centre,
    RegionRule.INTERSECT: lambda shape, area, share, overlap: overlap > _TOUCH,
    RegionRule.CONTAIN: lambda shape, area, share, overlap: overlap >= 1.0 - _TOUCH,
}


class RegionMap:
    """The regions of one processor, ready to be asked many times. Stateless after construction."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = [(region, Polygon(region.points)) for region in regions]

    def best(self, box: Box, closed: Collection[str] = ()) -> RegionHit | None:
        """The region that ``box`` is inside of, the one with the largest overlap first (then the first drawn).

        ``closed``: regions that do not count now. No regions drawn: a hit without a name. None: the box is in no region, or wholly
        outside of the frame.
        """
        if not self._regions:
            return EVERYWHERE
        area = box.clipped()
        if area.width <= 0 or area.height <= 0:
            return None
        hits: list[RegionHit] = []
        for region, shape in self._regions:
            if region.name in closed:
                continue
            overlap = self._overlap(shape, area)
            if _RULES[region.rule](shape, area, region.share, overlap):
                hits.append(RegionHit(region.name, overlap))
        return max(hits, key=lambda hit: hit.overlap) if hits else None

    def miss(self, box: Box) -> Refusal:
        """How far ``box``, which is in no region that counts, is from being inside the one that it overlaps most."""
        closed = self.best(box)
        if closed is not None:
            return Refusal(Gate.SCHEDULE, "region", closed.overlap, None, closed.name or "")
        area = box.clipped()
        if area.width <= 0 or area.height <= 0 or not self._regions:
            return Refusal(Gate.REGION, "outside")
        measured = [(self._overlap(shape, area), region) for region, shape in self._regions]
        overlap, region = max(measured, key=lambda pair: pair[0])
        needed = {RegionRule.OVERLAP: region.share, RegionRule.CONTAIN: 1.0, RegionRule.INTERSECT: 0.0}.get(region.rule)
        return Refusal(Gate.REGION, region.rule.value, overlap, needed, region.name)

    @staticmethod
    def _overlap(shape: Polygon, area: Box) -> float:
        """Share of the box's area inside ``shape``, 0..1."""
        inside = float(shape.intersection(rectangle(*area)).area)
        return min(1.0, inside / area.area)

"""How regions are drawn in a config document, and the drawing mistakes that are said at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamproc.config.base import Settings, wrong
from streamproc.config.schedule import ScheduleSettings
from streamproc.core.region import Region, RegionRule

Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_MIN_AREA = 0.01
_SLACK = 1e-6


class RegionBox(Settings):
    """A rectangle in ratios of the frame."""

    left: Ratio
    top: Ratio
    width: Ratio
    height: Ratio

    @model_validator(mode="after")
    def _inside(self) -> RegionBox:
        if self.left + self.width > 1 + _SLACK or self.top + self.height > 1 + _SLACK:
            raise ValueError("the box reaches outside the frame; left + width and top + height may be at most 1")
        return self

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The four corners, in order."""
        right, bottom = min(1.0, self.left + self.width), min(1.0, self.top + self.height)
        return ((self.left, self.top), (right, self.top), (right, bottom), (self.left, bottom))


class RegionSettings(Settings):
    """One region of interest: a ``box`` or a ``polygon``, and when an object counts as inside."""

    name: str | None = Field(default=None, min_length=1, max_length=128)
    """What events call it; region-1, region-2... where left out."""
    box: RegionBox | None = None
    polygon: tuple[tuple[Ratio, Ratio], ...] | None = Field(default=None, min_length=3, max_length=10)
    """3 to 10 corners as [x, y] in 0..1; concave is fine."""
    rule: Literal["overlap", "feet", "centre", "intersect", "contain"] = "overlap"
    overlap: float = Field(default=0.5, ge=0, lt=1)
    """For rule overlap: the share of the object's area that must be exceeded."""
    schedule: ScheduleSettings | None = None
    """When something in this region is announced; left out: always."""

    @model_validator(mode="after")
    def _one_sound_shape(self) -> RegionSettings:
        if (self.box is None) == (self.polygon is None):
            raise ValueError("draw either box or polygon")
        # Here and not above: verbs that meet no region need not wait for it.
        from shapely.geometry import Polygon
        from shapely.validation import explain_validity

        shape = Polygon(self.points)
        if not shape.is_valid:
            raise ValueError(
                f"the outline crosses or touches itself ({explain_validity(shape)}); draw the corners in order around it"
            )
        if shape.area < _MIN_AREA:
            raise ValueError(f"the region covers {shape.area:.2%} of the frame; draw one of at least 1 %")
        return self

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The corners, whichever way it was drawn."""
        if self.polygon is not None:
            return self.polygon
        assert self.box is not None
        return self.box.points


def check_regions(regions: Sequence[RegionSettings]) -> None:
    """Refuse two regions of one name."""
    names = [region.name for region in to_regions(regions)]
    for name in names:
        if names.count(name) > 1:
            raise wrong("regions", f"two are called {name!r}; give each its own name")


def to_regions(regions: Sequence[RegionSettings]) -> tuple[Region, ...]:
    """The core form."""
    return tuple(
        Region(region.name or f"region-{index}", region.points, RegionRule(region.rule), region.overlap)
        for index, region in enumerate(regions, 1)
    )

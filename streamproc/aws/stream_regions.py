"""RegionsOfInterest: what can be drawn, and as regions of a processor's document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from shapely.geometry import Polygon

from streamproc.aws.bindings import Unbound
from streamproc.config.regions import RegionSettings

_BOX_SIDES = ("Left", "Top", "Width", "Height")
_POLYGON_POINTS = range(3, 11)


def region_faults(regions: Sequence[Mapping[str, Any]], path: str) -> list[str]:
    """Each region is a box or a polygon, of ratios, and can be drawn. A polygon without area is let through, as the
    service does: it is said when the processor starts."""
    faults = []
    for index, region in enumerate(regions):
        here = f"{path}[{index}]"
        box, polygon = region.get("BoundingBox"), region.get("Polygon")
        if (box is None) == (polygon is None):
            faults.append(f"{here} must have exactly one of BoundingBox and Polygon")
            continue
        numbers: list[Any]
        if box is not None:
            numbers = [box.get(side) for side in _BOX_SIDES]
            words = f"{here}.BoundingBox must have Left, Top, Width and Height"
        else:
            assert polygon is not None
            if len(polygon) not in _POLYGON_POINTS:
                faults.append(f"{here}.Polygon must have 3 to 10 points")
                continue
            numbers = [point.get(axis) for point in polygon for axis in ("X", "Y")]
            words = f"{here}.Polygon's points must have X and Y"
        if any(number is None or not 0 <= number <= 1 for number in numbers):
            faults.append(f"{words} from 0 to 1")
        elif not _has_no_area(region):
            faults += _drawing_faults(region, here)
    return faults


def _drawing_faults(region: Mapping[str, Any], path: str) -> list[str]:
    try:
        _region_settings(region)
    except ValidationError as error:
        return [f"{path}: {fault['msg'].removeprefix('Value error, ')}" for fault in error.errors()]
    return []


def _points(region: Mapping[str, Any]) -> list[tuple[float, float]]:
    return [(point["X"], point["Y"]) for point in region["Polygon"]]


def _has_no_area(region: Mapping[str, Any]) -> bool:
    if "BoundingBox" in region:
        return bool(region["BoundingBox"]["Width"] * region["BoundingBox"]["Height"] == 0)
    return bool(Polygon(_points(region)).convex_hull.area < 1e-9)


def _region_settings(region: Mapping[str, Any]) -> RegionSettings:
    if "BoundingBox" in region:
        box = region["BoundingBox"]
        return RegionSettings.model_validate({"box": {side.lower(): box[side] for side in _BOX_SIDES}})
    return RegionSettings.model_validate({"polygon": _points(region)})


def to_settings(drawn: Sequence[Mapping[str, Any]]) -> tuple[RegionSettings, ...]:
    """The regions of a document. Raises Unbound where nothing could ever be inside any of them."""
    # Nothing is ever more than half inside a region without area: it only matters where there is no other.
    regions = tuple(_region_settings(region) for region in drawn if not _has_no_area(region))
    if drawn and not regions:
        raise Unbound("RegionsOfInterest cover no area, nothing could ever be inside")
    return regions

"""Regions against an independent area count, rule by rule."""

import numpy as np
import pytest

from streamproc.core.region import Region, RegionRule
from streamproc.core.vision import Box
from streamproc.logic.regions import RegionMap

LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
ELL = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.3), (0.3, 0.3), (0.3, 0.9), (0.1, 0.9))
"""Concave: the middle of its bounding box is outside."""


def hit(box: Box, points=LEFT_HALF, rule=RegionRule.OVERLAP, share=0.5):
    return RegionMap([Region("r", points, rule, share)]).best(box)


@pytest.mark.parametrize(
    ("box", "rule", "share", "overlap"),
    [
        (Box(0.1, 0.1, 0.3, 0.3), RegionRule.OVERLAP, 0.5, 1.0),
        (Box(0.4, 0.1, 0.6, 0.3), RegionRule.OVERLAP, 0.5, None),  # exactly half is not more than half
        (Box(0.39, 0.1, 0.6, 0.3), RegionRule.OVERLAP, 0.5, 0.11 / 0.21),
        (Box(0.4, 0.1, 0.7, 0.3), RegionRule.OVERLAP, 0.3, 1 / 3),
        (Box(0.4, 0.1, 0.7, 0.3), RegionRule.OVERLAP, 1 / 3, None),
        (Box(0.4, 0.1, 0.7, 0.3), RegionRule.INTERSECT, 0.5, 1 / 3),
        (Box(0.5, 0.1, 0.7, 0.3), RegionRule.INTERSECT, 0.5, None),  # touching is not intersecting
        (Box(0.1, 0.1, 0.5, 0.3), RegionRule.CONTAIN, 0.5, 1.0),
        (Box(0.1, 0.1, 0.51, 0.3), RegionRule.CONTAIN, 0.5, None),
        (Box(0.3, 0.1, 0.6, 0.3), RegionRule.CENTRE, 0.5, 2 / 3),
        (Box(0.42, 0.1, 0.6, 0.3), RegionRule.CENTRE, 0.5, None),
        (Box(0.3, 0.1, 0.6, 0.3), RegionRule.FEET, 0.5, 2 / 3),
        # a box that reaches outside of the frame counts with its visible part
        (Box(-0.3, 0.1, 0.3, 0.3), RegionRule.OVERLAP, 0.5, 1.0),
        (Box(-0.3, 0.1, 0.7, 0.3), RegionRule.OVERLAP, 0.5, 5 / 7),
        (Box(0.1, 0.5, 0.3, 1.4), RegionRule.FEET, 0.5, 1.0),
        (Box(1.1, 0.1, 1.3, 0.3), RegionRule.OVERLAP, 0.0, None),
        (Box(0.2, 0.2, 0.2, 0.4), RegionRule.OVERLAP, 0.0, None),  # no area
    ],
)
def test_rules_in_the_left_half(box, rule, share, overlap):
    found = hit(box, rule=rule, share=share)
    if overlap is None:
        assert found is None
    else:
        assert found is not None and found.overlap == pytest.approx(overlap)


@pytest.mark.parametrize("points", [ELL, ELL[::-1], ((0.2, 0.2), (0.8, 0.3), (0.5, 0.9))])
def test_overlap_agrees_with_counting_points(points):
    """The measured overlap against a fine raster, tested point by point with the even-odd rule."""
    rng = np.random.default_rng(7)
    for _ in range(20):
        x, y = rng.uniform(0, 0.6, 2)
        box = Box(x, y, x + rng.uniform(0.1, 0.4), y + rng.uniform(0.1, 0.4))
        grid = (np.arange(200) + 0.5) / 200
        xs, ys = np.meshgrid(box.left + grid * box.width, box.top + grid * box.height)
        inside = np.zeros(xs.shape, bool)
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
            if ay != by:
                inside ^= ((ay > ys) != (by > ys)) & (xs < (bx - ax) * (ys - ay) / (by - ay) + ax)
        found = hit(box, points, RegionRule.OVERLAP, 0.0)
        assert (found.overlap if found else 0.0) == pytest.approx(inside.mean(), abs=0.01)


def test_a_concave_region_does_not_hold_what_is_in_its_notch():
    notch = Box(0.5, 0.5, 0.7, 0.7)
    for rule in RegionRule:
        assert hit(notch, ELL, rule, 0.0) is None


def test_the_largest_overlap_wins_then_the_first_drawn():
    right = tuple((x + 0.5, y) for x, y in LEFT_HALF)
    regions = RegionMap(
        [Region("l", LEFT_HALF, share=0.1), Region("r", right, share=0.1), Region("again", right, share=0.1)]
    )
    assert regions.best(Box(0.4, 0.1, 0.8, 0.3)).name == "r"
    assert regions.best(Box(0.1, 0.1, 0.6, 0.3)).name == "l"


def test_nothing_drawn_is_everywhere():
    found = RegionMap([]).best(Box(-1, -1, 3, 3))
    assert found is not None and found.name is None and found.overlap == 1.0

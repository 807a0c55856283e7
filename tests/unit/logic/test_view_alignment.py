"""A view that is shifted is found again; one behind something is not taken for shifted."""

from __future__ import annotations

import numpy as np
import pytest

from streamproc.logic.picture_health import ViewMap, measure
from streamproc.logic.view_alignment import ShiftWatch, best_shift, unchanged_share
from tests.builders.spoiled import before_lens, turned
from tests.builders.streets import street

GREY = street(1.0)[0][1].astype(np.float32)
USUAL = measure(GREY.astype(np.uint8)).edges
CHANCE = np.random.default_rng(1)


def seen(right: float, down: float) -> ViewMap:
    return measure(turned(right, down)(GREY, CHANCE).astype(np.uint8)).edges


@pytest.mark.parametrize(("right", "down"), [(0.25, 0.0), (-0.4, 0.0), (0.0, 0.3), (0.2, -0.2)])
def test_how_far_a_view_is_shifted(right: float, down: float) -> None:
    found = best_shift(USUAL, seen(right, down))
    assert (found.right, found.down) == (pytest.approx(right * 96, abs=1), pytest.approx(down * 54, abs=1))
    assert found.likeness > 0.8 and found.likeness - found.in_place > 0.3


def test_it_rests_there_from_the_second_picture_on_and_not_while_it_swings() -> None:
    watch = ShiftWatch()
    assert [watch.rests(USUAL, seen(0.25, 0.0)) for _ in range(3)] == [False, True, True]
    watch.forget()
    assert not watch.rests(USUAL, seen(0.25, 0.0))
    swung = ShiftWatch()
    assert not any(swung.rests(USUAL, seen(share, 0.0)) for share in (0.3, 0.0, -0.3, 0.0, 0.3, 0.0))


def test_what_stands_before_the_camera_leaves_the_rest_unchanged() -> None:
    behind = measure(before_lens(0.55, 7)(GREY, CHANCE).astype(np.uint8)).edges
    assert not any(ShiftWatch().rests(USUAL, edges) for edges in (behind, behind))
    assert unchanged_share(USUAL, behind) > 0.3 > 0.1 > unchanged_share(USUAL, seen(0.25, 0.0))
    assert unchanged_share(np.zeros_like(USUAL), behind) == 0.0

"""Which boxes stay, and which belong together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamproc.logic.boxes import MAX_CANDIDATES, iou, nms, seeds

A = [0.1, 0.1, 0.5, 0.5]
NEAR_A = [0.12, 0.1, 0.52, 0.5]
HALF_A = [0.1, 0.1, 0.5, 0.3]
FAR = [0.6, 0.6, 0.9, 0.9]
BOXES = np.array([A, NEAR_A, HALF_A, FAR], np.float32)
SCORES = np.array([0.5, 0.9, 0.7, 0.5], np.float32)


@pytest.mark.parametrize(
    ("threshold", "classes", "kept"),
    [
        (0.6, None, [1, 2, 3]),
        (0.4, None, [1, 3]),
        (0.6, [0, 1, 0, 0], [1, 2, 0, 3]),
        (0.4, [0, 1, 0, 0], [1, 2, 3]),
    ],
)
def test_of_two_that_overlap_the_better_one_stays(threshold, classes, kept):
    of = None if classes is None else np.array(classes, np.int32)
    assert nms(BOXES, SCORES, threshold, of).tolist() == kept


def test_no_boxes_and_too_many():
    assert nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5).tolist() == []
    left = np.arange(MAX_CANDIDATES + 5, dtype=np.float32)
    apart = np.stack([left, left, left + 0.5, left + 0.5], 1)
    assert nms(apart, -left, 0.5).tolist() == list(range(MAX_CANDIDATES))


def test_a_box_joins_the_beginning_that_it_overlaps_most():
    ordered = BOXES[[1, 2, 0, 3]]
    assert seeds(ordered, 0.6) == [0, 1, 0, 3]
    assert seeds(ordered, 0.4) == [0, 0, 0, 3]
    assert seeds(ordered, 0.4, ["cat", "dog", "dog", "cat"]) == [0, 1, 1, 3], "only of its own kind"
    assert seeds(BOXES[:0], 0.5) == []


@given(arrays(np.float32, st.tuples(st.integers(0, 12), st.just(4)), elements=st.floats(0, 1, width=32)))
def test_beginnings_are_apart_and_all_else_is_near_one(corners):
    corners[:, 2:] = np.maximum(corners[:, :2], corners[:, 2:])
    begun = seeds(corners, 0.5)
    overlaps = iou(corners, corners)
    first = sorted(set(begun))
    assert all(begun[seed] == seed for seed in first)
    assert all(overlaps[a, b] <= 0.5 for a in first for b in first if a != b)
    assert all(seed == row or (seed < row and overlaps[row, seed] > 0.5) for row, seed in enumerate(begun))

"""The labels benchmark counts as the field does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.labels import Score, judge
from streamproc.core.vision import Detections

TRUTH = np.array([[0, 0, 0.2, 0.2], [0.5, 0.5, 0.7, 0.7]], np.float32)
NONE = np.zeros((0, 4), np.float32)


def found(*rows: tuple[float, float, float]) -> Detections:
    """Squares of 0.2 at x, y with a score."""
    boxes = np.array([(x, y, x + 0.2, y + 0.2) for x, y, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for *_, score in rows], np.float32)
    return Detections(boxes, scores, np.zeros(len(rows), np.int32), ("thing",))


@pytest.mark.parametrize(
    ("rows", "precision", "recall"),
    [
        ([(0, 0, 0.9), (0.5, 0.5, 0.8)], 1.0, 1.0),
        ([(0, 0, 0.9)], 0.5, 0.5),
        ([(0, 0, 0.9), (0, 0, 0.8), (0.5, 0.5, 0.7)], (1 + 2 / 3) / 2, 1.0),
        ([(0.3, 0, 0.9), (0, 0, 0.8)], 0.25, 0.5),
        ([(0, 0, 0.2)], 0.5, 0.0),
        ([], 0.0, 0.0),
    ],
)
def test_average_precision_and_recall(rows: list[tuple[float, float, float]], precision: float, recall: float) -> None:
    score = Score()
    judge(score, found(*rows), TRUTH, NONE)
    assert score.average_precision() == pytest.approx(precision)
    assert score.recall(0.3) == recall


def test_what_lies_in_a_crowd_is_not_held_against_the_detector() -> None:
    score = Score()
    judge(score, found((0.3, 0.3, 0.9), (0, 0, 0.8)), TRUTH[:1], np.array([[0.25, 0.25, 1, 1]], np.float32))
    assert score.average_precision() == 1.0

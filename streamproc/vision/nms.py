"""Greedy non-maximum suppression."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from streamproc.core.vision import FloatArray

MAX_CANDIDATES = 1000
"""Of more boxes than this only the best are looked at; a real picture holds fewer objects."""


def nms(
    boxes: FloatArray, scores: FloatArray, iou: float, classes: npt.NDArray[np.int32] | None = None
) -> npt.NDArray[np.intp]:
    """Indexes of the boxes that stay, best first. (N, 4) corners; with ``classes`` only boxes of one class compete.

    Ties keep the order given, so the answer is the same on every machine.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    if len(order) < 2:
        return order
    areas = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        inside = np.maximum(
            np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2]), 0
        ).prod(1)
        overlap = inside / np.maximum(areas[best] + areas[rest] - inside, 1e-9)
        stays = overlap <= iou
        if classes is not None:
            stays |= classes[rest] != classes[best]
        order = rest[stays]
    return np.array(keep, np.intp)


def logit(score: float) -> float:
    """Log-odds of a threshold in 0..1, so that logits can be compared instead of probabilities."""
    score = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(score / (1 - score))

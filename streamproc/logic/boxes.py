"""Array functions on boxes: corners (left, top, right, bottom), float32, shape (N, 4), in any one unit."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from streamproc.core.vision import Box

Boxes = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]
MAX_CANDIDATES = 1000
"""Of more boxes than this only the best compete in ``nms``; a real picture holds fewer objects."""


def as_boxes(boxes: Sequence[Box] | Boxes) -> Boxes:
    """(N, 4) float32, also for no boxes at all."""
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def areas(boxes: Boxes) -> Floats:
    """(N,) areas; boxes turned inside out have none."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersections(a: Boxes, b: Boxes) -> Floats:
    """(N, M) common areas."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def iou(a: Boxes, b: Boxes) -> Floats:
    """(N, M) intersection over union."""
    common = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - common
    return np.asarray(common / np.maximum(union, 1e-12), np.float32)


def covered(a: Boxes, b: Boxes) -> Floats:
    """(N, M) share of each box of ``a`` that lies inside each box of ``b``."""
    return np.asarray(intersections(a, b) / np.maximum(areas(a)[:, None], 1e-12), np.float32)


def nms(
    boxes: Boxes, scores: Floats, threshold: float, classes: npt.NDArray[np.int32] | None = None
) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: rows that stay, best score first; of two with an IoU above ``threshold`` the better one.

    With ``classes`` (N,) only boxes of one class compete. Ties keep the order given, so the answer is the same on every machine.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    ranked = boxes[order]
    rivals = iou(ranked, ranked) > threshold
    if classes is not None:
        rivals &= classes[order][:, None] == classes[order][None, :]
    alive = np.ones(len(order), bool)
    for place in range(len(order)):
        if alive[place]:
            alive[place + 1 :] &= ~rivals[place, place + 1 :]
    return order[alive]


def seeds(boxes: Boxes, threshold: float, kinds: Sequence[Hashable] | None = None) -> list[int]:
    """Greedy clustering of boxes that come surest first: for each row the row that its cluster began with.

    A box joins the earlier beginning that it overlaps most, if their IoU is above ``threshold`` (and, with ``kinds``, both are of one
    kind); else a cluster begins with it.
    """
    overlaps = iou(boxes, boxes)
    begun: dict[Hashable, list[int]] = {}
    found: list[int] = []
    for row in range(len(boxes)):
        rivals = begun.setdefault(kinds[row] if kinds is not None else None, [])
        nearest = rivals[int(overlaps[row, rivals].argmax())] if rivals else row
        if nearest == row or overlaps[row, nearest] <= threshold:
            rivals.append(row)
            nearest = row
        found.append(nearest)
    return found


def expand(box: Box, factor: float, least: float = 0.0) -> Box:
    """The box about the same middle with sides ``factor`` times as long and at least ``least``."""
    half_width, half_height = max(box.width * factor, least) / 2, max(box.height * factor, least) / 2
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def mapped(boxes: Boxes, window: Box) -> Boxes:
    """Boxes in 0..1 of ``window`` as boxes of the frame that the window was cut from."""
    scale = np.array([window.width, window.height] * 2, np.float32)
    shift = np.array([window.left, window.top] * 2, np.float32)
    return np.asarray(boxes * scale + shift, np.float32)


def unmapped(boxes: Boxes, window: Box) -> Boxes:
    """Boxes of the frame in 0..1 of ``window``: what ``mapped`` undoes."""
    scale = np.array([max(window.width, 1e-6), max(window.height, 1e-6)] * 2, np.float32)
    shift = np.array([window.left, window.top] * 2, np.float32)
    return np.asarray((boxes - shift) / scale, np.float32)


SAME_PLACE = 0.3
"""From this IoU on two boxes of two moments can be one face's."""


def strangers(found: Sequence[Box], known: Sequence[Box], unknown: Sequence[Box]) -> list[Box]:
    """Boxes of ``found`` that are not plainly one of ``known``: they meet none of them, or one of ``unknown`` at least as well."""
    if not known:
        return list(found)
    boxes = as_boxes(found)
    to_known = iou(boxes, as_boxes(known)).max(1, initial=0)
    to_unknown = iou(boxes, as_boxes(unknown)).max(1, initial=0)
    return [box for box, near, far in zip(found, to_known, to_unknown, strict=True) if near < SAME_PLACE or far >= near]

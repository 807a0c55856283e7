"""Array functions on boxes: corners (left, top, right, bottom), float32, shape (N, 4), in any one unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamproc.core.vision import Box

Boxes = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]


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


def nms(boxes: Boxes, scores: Floats, threshold: float) -> npt.NDArray[np.intp]:
    """Non-maximum suppression: rows that stay, best score first; of two with an IoU above ``threshold`` the better one."""
    order = np.argsort(-scores, kind="stable")
    overlaps = iou(boxes, boxes)
    keep: list[int] = []
    alive = np.ones(len(boxes), bool)
    for row in order.tolist():
        if alive[row]:
            keep.append(row)
            alive &= overlaps[row] <= threshold
    return np.array(keep, np.intp)


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

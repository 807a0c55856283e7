"""Placing a picture on a model's canvas, and boxes back from it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import FloatArray


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the picture lies on the canvas, in canvas pixels."""

    left: float
    top: float
    width: float
    height: float

    def to_unit(self, boxes: FloatArray) -> FloatArray:
        """(N, 4) corners on the canvas to corners in 0..1 of the picture (beyond it where the object is cut off)."""
        origin = np.array([self.left, self.top, self.left, self.top], np.float32)
        size = np.array([self.width, self.height, self.width, self.height], np.float32)
        return ((boxes - origin) / size).astype(np.float32)

    def points_to_unit(self, points: FloatArray) -> FloatArray:
        """(..., 2) x, y on the canvas to 0..1 of the picture."""
        origin = np.array([self.left, self.top], np.float32)
        size = np.array([self.width, self.height], np.float32)
        return ((points - origin) / size).astype(np.float32)


def letterbox(image: Image, width: int, height: int, *, pad: int = 0, centred: bool = False) -> tuple[Image, Fit]:
    """The picture at the largest size that fits, aspect kept, in the top left corner or the middle of the canvas."""
    rows, columns = image.shape[:2]
    ratio = min(width / columns, height / rows)
    new_width = min(width, max(1, round(columns * ratio)))
    new_height = min(height, max(1, round(rows * ratio)))
    shrunk = resize(image, new_width, new_height)
    if (new_width, new_height) == (width, height):
        return shrunk, Fit(0, 0, width, height)
    left, top = ((width - new_width) // 2, (height - new_height) // 2) if centred else (0, 0)
    canvas = np.full((height, width, 3), pad, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = shrunk
    return canvas, Fit(left, top, new_width, new_height)


def stretch(image: Image, width: int, height: int) -> tuple[Image, Fit]:
    """The picture pulled to exactly the canvas."""
    return resize(image, width, height), Fit(0, 0, width, height)


def resize(image: Image, width: int, height: int) -> Image:
    """Anti-aliased where it shrinks to half or less."""
    rows, columns = image.shape[:2]
    if (columns, rows) == (width, height):
        return np.ascontiguousarray(image)
    far = width * 2 <= columns or height * 2 <= rows
    out: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if far else cv2.INTER_LINEAR)
    return out

"""Photographs that were turned by a quarter or a half and say so nowhere: their faces are found where they lie."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Box, FaceBox, FloatArray

SURE = {"yunet": 0.93}
"""Score, by detector, that the best upright face of a photograph has, and a turned one does not: 14 photographs of the corpus had 0.95 to 0.97
upright and 0.63 to 0.91 turned. Detectors that are not named are not asked about turned pictures."""
LARGEST = 1920
"""Pixels of the longer side at which a photograph is turned: no detector looks at more of it at once."""
BETTER = 0.03
"""A turn is believed where its best face has so much more."""


def with_turns(
    image: Image, upright: list[FaceBox], sure: float, find: Callable[[Image], list[FaceBox]]
) -> list[FaceBox]:
    """``upright``, or the faces of the quarter turn in which they are surest, in places of ``image`` as it lies.

    ``find`` finds faces of a picture; it is not called where an upright face is ``sure``.
    """
    best, found = max((face.score for face in upright), default=0.0), upright
    if best >= sure:
        return found
    scale = min(1.0, LARGEST / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    for quarters in (1, 3, 2):
        turned = find(np.ascontiguousarray(np.rot90(small, quarters)))
        score = max((face.score for face in turned), default=0.0)
        if score >= sure and score > best + BETTER:
            best, found = score, [_back(face, quarters) for face in turned]
    return found


def _back(face: FaceBox, quarters: int) -> FaceBox:
    """From the picture that was turned so many quarters to the left into the one before."""
    corners = _points(np.array(face.box, np.float32).reshape(2, 2), quarters)
    low, high = corners.min(0), corners.max(0)
    box = Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return FaceBox(box, face.score, _points(face.landmarks, quarters))


def _points(points: FloatArray, quarters: int) -> FloatArray:
    for _ in range(quarters):
        points = np.stack([1 - points[:, 1], points[:, 0]], axis=1)
    return points.astype(np.float32)

"""Photographs that were turned by a quarter or a half and say so nowhere: their faces are found where they lie."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Box, FaceBox, FloatArray

SURE = {"yunet": 0.93, "centerface": 0.85}
"""Score, by detector, that the best upright face of a photograph has. YuNet gave 14 photographs of the corpus 0.95 to 0.97 upright and 0.63 to 0.91
turned. CenterFace finds turned faces as surely as upright ones (0.86 to 0.97 upright, up to 0.98 turned), but its landmarks say how they lie."""
LYING = 0.7
"""A face lies where the way from its eyes to its mouth goes down by less than this share of its length. The 14 photographs upright: 0.98 and
more; turned by a quarter, a half and three quarters, with a score that counts: 0.5 and less."""
LARGEST = 1920
"""Pixels of the longer side at which a photograph is turned: no detector looks at more of it at once."""
BETTER = 0.03
"""A turn is believed where its best face has so much more."""


def with_turns(
    image: Image, upright: list[FaceBox], sure: float, find: Callable[[Image], list[FaceBox]]
) -> list[FaceBox]:
    """``upright``, or the faces of the quarter turn in which they are surest, in places of ``image`` as it lies.

    ``find`` finds faces of a picture; it is not called where a face that does not lie is ``sure``.
    """
    best, found = _surest(upright, image), upright
    if best >= sure:
        return found
    scale = min(1.0, LARGEST / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    for quarters in (1, 3, 2):
        turned = np.ascontiguousarray(np.rot90(small, quarters))
        faces = find(turned)
        score = _surest(faces, turned)
        if score >= sure and score > best + BETTER:
            best, found = score, [_back(face, quarters) for face in faces]
    return found


def _surest(faces: list[FaceBox], image: Image) -> float:
    """The highest score of the faces that do not lie; 0 without any."""
    return max((face.score for face in faces if not _lies(face, image)), default=0.0)


def _lies(face: FaceBox, image: Image) -> bool:
    height, width = image.shape[:2]
    eyes, mouth = face.landmarks[:2].mean(0), face.landmarks[3:].mean(0)
    across, down = (mouth - eyes) * (width, height)
    return bool(down < LYING * np.hypot(across, down))


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

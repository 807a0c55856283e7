"""Faces that nobody is to recognise: made of a few coarse squares."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Box
from streamproc.media.picture import pixel_rectangle

_SQUARES = 5
"""Across a face; recognition by people and models fails well above that."""
_MARGIN = 0.35
"""Of the face's own size on each side: it has moved a little since it was found."""


def blur(image: Image, boxes: Sequence[Box]) -> Image:
    """A copy of ``image`` (BGR) in which each of ``boxes`` (ratios) is coarse squares."""
    blurred = image.copy()
    height, width = image.shape[:2]
    for box in boxes:
        across, down = (box.right - box.left) * _MARGIN, (box.bottom - box.top) * _MARGIN
        grown = box.left - across, box.top - down, box.right + across, box.bottom + down
        x0, y0, x1, y1 = pixel_rectangle(grown, width, height)
        small = cv2.resize(blurred[y0:y1, x0:x1], (_SQUARES, _SQUARES), interpolation=cv2.INTER_AREA)
        blurred[y0:y1, x0:x1] = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
    return np.asarray(blurred)

"""Cutting an upright, normalised chip out of a picture by its landmarks."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.media import Image
from streamproc.core.vision import Box

Points = npt.NDArray[np.floating]

RETAIL_0095 = np.array(
    [(0.3156, 0.4616), (0.6827, 0.4616), (0.5003, 0.6405), (0.3495, 0.8247), (0.6534, 0.8247)], np.float64
)
"""Where face-reidentification-retail-0095 wants the five landmarks, in 0..1 of its chip (its model card)."""

DLIB = np.array(
    [(0.22549, 0.21599), (0.75476, 0.21599), (0.49013, 0.51562), (0.25415, 0.78023), (0.72610, 0.78023)], np.float64
)
"""The same five points of dlib's mean face (eye centres are means of its six eye points), in 0..1 of the unpadded chip."""


def similarity(source: Points, target: Points) -> npt.NDArray[np.float64]:
    """The 2x3 rotation, scale and shift, without reflection, that brings ``source`` nearest to ``target`` (Umeyama 1991).

    Raises ValueError where all points of ``source`` lie on one spot.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    moved, wanted = source - source_mean, target - target_mean
    spread = (moved**2).sum() / len(source)
    if not spread > 1e-12:
        raise ValueError("the landmarks lie on one spot")
    left, strengths, right = np.linalg.svd(wanted.T @ moved / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])
    rotation = left @ np.diag(signs) @ right
    scale = (strengths * signs).sum() / spread
    shift = target_mean - scale * rotation @ source_mean
    return np.hstack([scale * rotation, shift[:, None]])


def warp(image: Image, matrix: npt.NDArray[np.float64], size: int) -> Image:
    """A (size, size, 3) chip. The picture is halved first while the chip would skip pixels; outside is black."""
    matrix = matrix.copy()
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    while scale < 0.5 and min(image.shape[:2]) >= 2:
        rows, columns = image.shape[:2]
        half = (max(1, columns // 2), max(1, rows // 2))
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
        # An odd side does not halve exactly; the matrix follows what was really done.
        matrix[:, :2] *= [columns / half[0], rows / half[1]]
        scale *= 2
    chip: Image = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return chip


def face_chip(image: Image, landmarks_px: Points, template: Points, size: int, padding: float = 0.0) -> Image:
    """The aligned face: five landmarks in pixels of ``image`` brought onto ``template`` with a margin of ``padding``."""
    target = (np.asarray(template) + padding) / (1 + 2 * padding) * size
    return warp(image, similarity(landmarks_px, target), size)


def square_crop(image: Image, box: Box, factor: float = 1.0) -> tuple[Image, Box]:
    """The square of ``factor`` times the box's longer side around it, and where that square is in 0..1 of the picture.

    Beyond the border it is filled with black, so the object stays in the middle.
    """
    rows, columns = image.shape[:2]
    side = max(1, round(max(box.width * columns, box.height * rows) * factor))
    left = round((box.left + box.right) / 2 * columns - side / 2)
    top = round((box.top + box.bottom) / 2 * rows - side / 2)
    out = np.zeros((side, side, 3), np.uint8)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(columns, left + side), min(rows, top + side)
    if x1 > x0 and y1 > y0:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return out, Box(left / columns, top / rows, (left + side) / columns, (top + side) / rows)

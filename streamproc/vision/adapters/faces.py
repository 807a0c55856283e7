"""Face detectors with five landmarks: YuNet and CenterFace."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Box, FaceBox, FloatArray
from streamproc.logic.boxes import nms
from streamproc.vision.adapters.yolox import STRIDES, grid
from streamproc.vision.engine import Engine, ImageInput
from streamproc.vision.letterbox import Fit, letterbox

_NMS_IOU = 0.3


class YuNet:
    """YuNet-n (Apache-2.0): BGR 0..255, letterboxed to the top left; sizes are multiples of 32."""

    default_score = 0.6

    def __init__(self, engine: Engine, model: Path, *, name: str = "yunet", size: tuple[int, int] = (640, 384)) -> None:
        _check(name, size)
        self.name = name
        self.input_size = size
        spec = ImageInput(*size)
        self._network = engine.image_network(model, spec)
        self._cells, self._strides = grid(*size)

    def detect(self, image: Image, min_score: float | None = None) -> list[FaceBox]:
        if image.size == 0:
            return []
        canvas, fit = letterbox(image, *self.input_size)
        out = self._network.infer_image(canvas)
        joined = {
            part: np.concatenate([out[f"{part}_{stride}"][0] for stride in STRIDES])
            for part in ("cls", "obj", "bbox", "kps")
        }
        scores = np.sqrt(joined["cls"][:, 0] * joined["obj"][:, 0])
        rows = np.flatnonzero(scores >= (self.default_score if min_score is None else min_score))
        cells, strides, raw = self._cells[rows], self._strides[rows], joined["bbox"][rows]
        centre = (raw[:, :2] + cells) * strides
        half = np.exp(raw[:, 2:]) * strides / 2
        boxes = np.concatenate([centre - half, centre + half], 1)
        points = (joined["kps"][rows].reshape(-1, 5, 2) + cells[:, None]) * strides[:, None]
        return _faces(boxes, scores[rows], points, fit)


class CenterFace:
    """CenterFace (MIT): RGB 0..255, letterboxed to the top left; heat map at a quarter of the size."""

    default_score = 0.35

    def __init__(
        self, engine: Engine, model: Path, *, name: str = "centerface", size: tuple[int, int] = (640, 384)
    ) -> None:
        _check(name, size)
        self.name = name
        self.input_size = size
        spec = ImageInput(*size, colour="RGB")
        self._network = engine.image_network(model, spec)

    def detect(self, image: Image, min_score: float | None = None) -> list[FaceBox]:
        if image.size == 0:
            return []
        canvas, fit = letterbox(image, *self.input_size)
        heat, scale, offset, marks = (plane[0] for plane in self._network.infer_image(canvas).values())
        ys, xs = np.nonzero(heat[0] >= (self.default_score if min_score is None else min_score))
        size = np.exp(scale[::-1, ys, xs].T) * 4
        centre = (np.stack([xs, ys], 1) + offset[::-1, ys, xs].T + 0.5) * 4
        boxes = np.concatenate([centre - size / 2, centre + size / 2], 1)
        # Landmarks come as y, x, relative to the box's corner and size; the box must not be clipped before.
        points = marks[:, ys, xs].T.reshape(-1, 5, 2)[:, :, ::-1] * size[:, None] + boxes[:, None, :2]
        return _faces(boxes, heat[0, ys, xs], points, fit)


def _faces(boxes: FloatArray, scores: FloatArray, points: FloatArray, fit: Fit) -> list[FaceBox]:
    keep = nms(boxes, scores, _NMS_IOU)
    places, marks = fit.to_unit(boxes[keep]), fit.points_to_unit(points[keep])
    return [
        FaceBox(Box(*(float(value) for value in place)), float(score), mark)
        for place, score, mark in zip(places, scores[keep], marks, strict=True)
    ]


def _check(name: str, size: tuple[int, int]) -> None:
    if size[0] % 32 or size[1] % 32:
        raise ValueError(f"{name}: input size {size[0]}x{size[1]} must be multiples of 32")

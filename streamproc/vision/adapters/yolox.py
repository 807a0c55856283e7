"""YOLOX (Apache-2.0): BGR 0..255, letterboxed to the top left on grey 114; raw grid outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Detections, FloatArray
from streamproc.logic.boxes import nms
from streamproc.vision.engine import Engine, ImageInput
from streamproc.vision.letterbox import letterbox
from streamproc.vision.names import COCO

STRIDES = (8, 16, 32)
_NMS_IOU = 0.45


class Yolox:
    """Any size whose sides are multiples of 32."""

    def __init__(
        self, engine: Engine, model: Path, *, name: str, size: tuple[int, int], names: Sequence[str] = COCO
    ) -> None:
        if size[0] % 32 or size[1] % 32:
            raise ValueError(f"{name}: input size {size[0]}x{size[1]} must be multiples of 32")
        self.name = name
        self.names = tuple(names)
        self.input_size = size
        spec = ImageInput(*size)
        self._network = engine.image_network(model, spec)
        self._cells, self._strides = grid(*size)

    def detect(self, image: Image, min_score: float) -> Detections:
        if image.size == 0:
            return Detections.empty(self.names)
        canvas, fit = letterbox(image, *self.input_size, pad=114)
        (rows,) = self._network.infer_image(canvas).values()
        boxes, scores, classes = self._decode(rows[0], min_score)
        keep = nms(boxes, scores, _NMS_IOU, classes)
        return Detections(fit.to_unit(boxes[keep]), scores[keep], classes[keep], self.names)

    def _decode(self, rows: FloatArray, min_score: float) -> tuple[FloatArray, FloatArray, np.ndarray]:
        # A score is objectness times class probability, so objectness alone is an exact first sieve.
        near = np.flatnonzero(rows[:, 4] >= min_score)
        rows = rows[near]
        products = rows[:, 5:] * rows[:, 4:5]
        classes = products.argmax(1).astype(np.int32) if len(rows) else np.zeros(0, np.int32)
        scores = products[np.arange(len(rows)), classes]
        good = scores >= min_score
        near, rows = near[good], rows[good]
        stride = self._strides[near]
        centre = (rows[:, :2] + self._cells[near]) * stride
        half = np.exp(rows[:, 2:4]) * stride / 2
        return np.concatenate([centre - half, centre + half], 1), scores[good], classes[good]


def grid(width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Cell coordinates (N, 2) and strides (N, 1) of the output rows: stride by stride, row-major."""
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x, y], 2).reshape(-1, 2))
        strides.append(np.full((len(cells[-1]), 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)

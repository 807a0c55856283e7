"""The two output forms of Intel's Open Model Zoo detectors (Apache-2.0): BGR 0..255, the picture stretched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Detections
from streamproc.vision.engine import Engine, ImageInput
from streamproc.vision.letterbox import stretch


class SsdDetectionOutput:
    """``ssd_detection_output``: one [1, 1, N, 7] output of image, label, score, x0, y0, x1, y1 in 0..1."""

    def __init__(self, engine: Engine, model: Path, *, name: str, size: tuple[int, int], names: Sequence[str]) -> None:
        self.name = name
        self.names = tuple(names)
        self.input_size = size
        spec = ImageInput(*size)
        self._network = engine.image_network(model, spec)

    def detect(self, image: Image, min_score: float) -> Detections:
        if image.size == 0:
            return Detections.empty(self.names)
        canvas, _ = stretch(image, *self.input_size)
        (out,) = self._network.infer_image(canvas).values()
        rows = out.reshape(-1, 7)
        # A row with image -1 ends the list.
        rows = rows[(rows[:, 0] >= 0) & (rows[:, 2] >= min_score) & (rows[:, 1] < len(self.names))]
        rows = rows[np.argsort(-rows[:, 2], kind="stable")]
        return Detections(rows[:, 3:7].copy(), rows[:, 2].copy(), rows[:, 1].astype(np.int32), self.names)


class BoxesLabels:
    """``boxes_labels``: ``boxes`` [N, 5] of x0, y0, x1, y1 in input pixels and score, ``labels`` [N]."""

    def __init__(self, engine: Engine, model: Path, *, name: str, size: tuple[int, int], names: Sequence[str]) -> None:
        self.name = name
        self.names = tuple(names)
        self.input_size = size
        spec = ImageInput(*size)
        self._network = engine.image_network(model, spec)

    def detect(self, image: Image, min_score: float) -> Detections:
        if image.size == 0:
            return Detections.empty(self.names)
        canvas, fit = stretch(image, *self.input_size)
        out = self._network.infer_image(canvas)
        boxes, labels = out["boxes"].reshape(-1, 5), out["labels"].reshape(-1).astype(np.int32)
        rows = np.flatnonzero((boxes[:, 4] >= min_score) & (labels >= 0) & (labels < len(self.names)))
        rows = rows[np.argsort(-boxes[rows, 4], kind="stable")]
        return Detections(fit.to_unit(boxes[rows, :4]), boxes[rows, 4], labels[rows], self.names)

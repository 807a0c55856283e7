"""Google's mobile object localizer (Apache-2.0): says where things are, not what they are. Good for proposals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Detections
from streamproc.vision.engine import Engine, ImageInput
from streamproc.vision.letterbox import stretch

_SIZE = 192
_OUT = "TFLite_Detection_PostProcess"


class MobileObjectLocalizer:
    """The picture is stretched to 192x192; suppression happens inside the model."""

    input_size = (_SIZE, _SIZE)
    names: tuple[str, ...] = ("object",)

    def __init__(self, engine: Engine, model: Path, *, name: str) -> None:
        self.name = name
        spec = ImageInput(_SIZE, _SIZE, colour="RGB", layout="NHWC")
        self._network = engine.image_network(model, spec)

    def detect(self, image: Image, min_score: float) -> Detections:
        if image.size == 0:
            return Detections.empty(self.names)
        canvas, fit = stretch(image, *self.input_size)
        out = self._network.infer_image(canvas)
        scores = out[f"{_OUT}:2"][0]
        rows = np.flatnonzero(scores >= min_score)
        boxes = out[_OUT][0][rows][:, [1, 0, 3, 2]] * _SIZE
        return Detections(fit.to_unit(boxes), scores[rows], np.zeros(len(rows), np.int32), self.names)

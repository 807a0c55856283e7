"""DEIMv2 (Apache-2.0): a small detection transformer. RGB 0..1, letterboxed to the top left on grey 114; no suppression needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Detections
from streamproc.vision.engine import Engine, ImageInput
from streamproc.vision.letterbox import letterbox
from streamproc.vision.names import COCO


class Deimv2:
    """Femto looks at 416x416, Pico and N at 640x640. A box may come twice, under two labels."""

    def __init__(
        self, engine: Engine, model: Path, *, name: str, size: tuple[int, int], names: Sequence[str] = COCO
    ) -> None:
        self.name = name
        self.names = tuple(names)
        self.input_size = size
        spec = ImageInput(*size, colour="RGB", scale=255.0, name="images")
        self._network = engine.image_network(model, spec)
        self._canvas = np.array([size], np.int64)

    def detect(self, image: Image, min_score: float) -> Detections:
        if image.size == 0:
            return Detections.empty(self.names)
        canvas, fit = letterbox(image, *self.input_size, pad=114)
        out = self._network.infer({"images": canvas[None], "orig_target_sizes": self._canvas})
        scores = out["scores"][0]
        rows = np.flatnonzero(scores >= min_score)
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        return Detections(
            fit.to_unit(out["boxes"][0][rows]), scores[rows], out["labels"][0][rows].astype(np.int32), self.names
        )

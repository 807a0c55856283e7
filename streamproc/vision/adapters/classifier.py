"""ImageNet classifiers: what is the one thing in this crop?

Each gives 1001 probabilities, the first for background, whatever its file has, so that they can stand in for one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import FloatArray
from streamproc.vision.efficientnet import efficientnet_lite0_graph
from streamproc.vision.engine import Engine, ImageInput, Network

_SIZE = 224


class ImagenetClassifier:
    """MobileNetV2, quantised: RGB bytes in, softmax bytes out (1001 classes, the first is background)."""

    input_size = (_SIZE, _SIZE)

    def __init__(self, engine: Engine, model: Path, *, name: str, names: Sequence[str]) -> None:
        self.name = name
        self.names = tuple(names)
        self._network = self._compiled(engine, model)

    def classify(self, image: Image) -> FloatArray:
        """(classes,) float32 probabilities that sum to 1. Give a square crop; anything else is stretched."""
        if image.size == 0:
            raise ValueError("cannot classify an empty crop")
        shrinks = image.shape[0] > _SIZE
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        (out,) = self._network.infer_image(cv2.resize(image, self.input_size, interpolation=how)).values()
        return self._probabilities(out[0])

    def _compiled(self, engine: Engine, model: Path) -> Network:
        spec = ImageInput(_SIZE, _SIZE, colour="RGB", layout="NHWC")
        return engine.image_network(model, spec)

    def _probabilities(self, out: FloatArray) -> FloatArray:
        weights: FloatArray = out.astype(np.float32)
        return weights / max(1.0, float(weights.sum()))


class EfficientNetLite0(ImagenetClassifier):
    """EfficientNet-Lite0 (Apache-2.0): 1000 classes, to which a background of zero is added in front."""

    def _compiled(self, engine: Engine, model: Path) -> Network:
        spec = ImageInput(_SIZE, _SIZE, colour="RGB", mean=127.0, scale=128.0)
        return engine.image_network(model, spec, lambda _: efficientnet_lite0_graph(model))

    def _probabilities(self, out: FloatArray) -> FloatArray:
        return np.concatenate([np.zeros(1, np.float32), out.astype(np.float32)])


def read_labels(path: Path) -> tuple[str, ...]:
    """One class a line."""
    return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())

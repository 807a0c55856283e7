"""NanoDet-g (Apache-2.0, RangiLyu): a one-stage detector for COCO's 80 classes, as a TensorFlow.js graph model carries it.

BGR with ImageNet's mean and deviation, letterboxed to the top left on grey 114. Each cell of a map (strides 8, 16, 32) has 80 class logits and
four distributions over the distances 0..10 from its centre to the box's left, top, right and bottom (generalised focal loss, Li et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Detections, FloatArray
from streamproc.logic.boxes import nms
from streamproc.vision.engine import Engine, ImageInput
from streamproc.vision.formats.tfjs import load
from streamproc.vision.letterbox import letterbox
from streamproc.vision.logits import logit
from streamproc.vision.names import COCO

_OUTPUTS = {8: "PartitionedCall/Add_29", 16: "PartitionedCall/Add_33", 32: "PartitionedCall/Add_37"}
"""The heads' last convolutions by stride, (1, rows, columns, 124). Beyond them the file turns all logits into probabilities; here few are."""
_BINS = 11
_MEAN, _DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
_NMS_IOU = 0.45


class Nanodet:
    """Any size whose sides are multiples of 32."""

    def __init__(
        self,
        engine: Engine,
        files: tuple[Path, Path],
        *,
        name: str,
        size: tuple[int, int],
        scale: float = 1.0,
        names: Sequence[str] = COCO,
    ) -> None:
        """``files``: topology and weights. It looks at ``scale`` times ``size``, to the nearest multiples of 32."""
        self.name = name
        self.names = tuple(names)
        self.input_size = scaled(size, scale)
        spec = ImageInput(*self.input_size, mean=_MEAN, scale=_DEVIATION)
        outputs = {f"stride{stride}": tensor for stride, tensor in _OUTPUTS.items()}
        self._network = engine.image_network(files[0], spec, lambda core: load(core, *files, outputs, self.input_size))

    def detect(self, image: Image, min_score: float) -> Detections:
        if image.size == 0:
            return Detections.empty(self.names)
        canvas, fit = letterbox(image, *self.input_size, pad=114)
        maps = self._network.infer_image(canvas)
        parts = [_decode(maps[f"stride{stride}"][0], stride, min_score) for stride in _OUTPUTS]
        boxes = np.concatenate([part[0] for part in parts])
        scores = np.concatenate([part[1] for part in parts])
        classes = np.concatenate([part[2] for part in parts])
        keep = nms(boxes, scores, _NMS_IOU, classes)
        inside = np.clip(boxes[keep], 0, [*self.input_size, *self.input_size]).astype(np.float32)
        return Detections(fit.to_unit(inside), scores[keep], classes[keep], self.names)


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Each side times ``scale``, to the nearest multiple of 32."""
    width, height = (max(32, round(side * scale / 32) * 32) for side in size)
    return width, height


def _decode(grid: FloatArray, stride: int, min_score: float) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Boxes (N, 4) on the canvas, scores and classes of a map of (rows, columns, classes + 4 * bins)."""
    cells = grid.reshape(-1, grid.shape[-1])
    logits = cells[:, : -4 * _BINS]
    # Comparing logits spares an exponential for each class of each cell.
    rows, classes = np.nonzero(logits >= logit(min_score))
    scores = 1 / (1 + np.exp(-logits[rows, classes]))
    bins = cells[rows, -4 * _BINS :].reshape(-1, 4, _BINS)
    shares = np.exp(bins - bins.max(2, keepdims=True))
    reach = (shares @ np.arange(_BINS, dtype=np.float32)) / shares.sum(2) * stride
    centre = (np.stack([rows % grid.shape[1], rows // grid.shape[1]], 1).astype(np.float32) + 0.5) * stride
    boxes = np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], 1).astype(np.float32)
    return boxes, scores.astype(np.float32), classes.astype(np.int32)

"""Where a package could be: boxes of detectors that know boxes, or that say where things are and not what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.contracts import Detector
from streamproc.core.media import Image, Picture
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import Boxes, Floats, iou, nms
from streamproc.logic.evidence import family
from streamproc.perception.detect import common_name

_LIKELY = {
    "box": 3.0,
    "suitcase": 3.0,
    "book": 1.5,
    "handbag": 1.5,
    "backpack": 1.5,
    "cake": 1.5,
    "laptop": 1.5,
    "tv": 1.5,
}
"""What detectors call parcels; their boxes are verified first."""
_UNLIKELY = {"person": 0.5, "cat": 0.3, "dog": 0.3, "car": 0.5, "truck": 0.5, "bus": 0.5}
_LEAST = {"ssd": 0.1, "deimv2": 0.1, "nanodet": 0.1, "mobile": 0.15}
"""Scores from which a proposal counts, by model family."""
_ONE = 0.6
"""Of two proposals with more IoU than this the likelier one stays."""


@dataclass(frozen=True)
class Proposals:
    """Boxes that may be packages, likeliest first, as parallel arrays."""

    boxes: Boxes
    """(N, 4)"""
    ranks: Floats
    """(N,) how likely each is a package."""
    hints: Floats
    """(N,) the score of a detector's own class for boxes there."""

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(cls, detectors: Sequence[Detector], found: Sequence[Detections]) -> Proposals:
        """What each detector found in one picture."""
        boxes: list[npt.NDArray[np.float32]] = []
        ranks: list[float] = []
        hints: list[float] = []
        for detector, detections in zip(detectors, found, strict=True):
            least, knows = least_score(detector), any(common_name(name) == "box" for name in detector.names)
            for row in range(len(detections)):
                name, score = common_name(detections.name(row)), float(detections.scores[row])
                if score >= least and (name == "box" or not knows):
                    boxes.append(detections.boxes[row])
                    ranks.append(score * _LIKELY.get(name, _UNLIKELY.get(name, 1.0)))
                    hints.append(score if name == "box" else 0.0)
        every = np.asarray(boxes, np.float32).reshape(-1, 4)
        return cls(every, np.array(ranks, np.float32), np.array(hints, np.float32))

    def box(self, row: int) -> Box:
        """Inside the picture."""
        return Box(*self.boxes[row].tolist()).clipped()

    def where(self, fits: npt.NDArray[np.bool_]) -> Proposals:
        """Only some of them."""
        return Proposals(self.boxes[fits], self.ranks[fits], self.hints[fits])

    def distinct(self) -> Proposals:
        """Each thing once, likeliest first, with the best hint of all that were proposed there."""
        if not len(self):
            return self
        support = np.where(iou(self.boxes, self.boxes) > 0.5, self.hints[None, :], 0.0).max(1).astype(np.float32)
        keep = nms(self.boxes, self.ranks, _ONE)
        return Proposals(self.boxes[keep], self.ranks[keep], support[keep])


def least_score(detector: Detector) -> float:
    """From which score its boxes count."""
    return _LEAST.get(family(detector.name), 0.1)


def in_picture(
    detectors: Sequence[Detector],
    picture: Picture,
    known: Mapping[str, Detections],
    runs: Counter[str],
    *,
    least_px: float,
    most_area: float,
) -> Proposals:
    """Of a whole picture. ``known``: detections of it that were made already, by model."""
    found = []
    for detector in detectors:
        mine = known.get(detector.name)
        if mine is None:
            mine = detector.detect(picture.bgr(640, 640), least_score(detector))
            runs[detector.name] += 1
        found.append(mine)
    proposals = Proposals.of(detectors, found)
    return proposals.where(fitting(proposals.boxes, picture.width, picture.height, least_px, most_area)).distinct()


def in_crop(detector: Detector, image: Image, *, least_px: float, most_area: float) -> Proposals:
    """Of a part of a picture, in 0..1 of that part."""
    proposals = Proposals.of([detector], [detector.detect(image, least_score(detector))])
    return proposals.where(fitting(proposals.boxes, image.shape[1], image.shape[0], least_px, most_area)).distinct()


def fitting(boxes: Boxes, width: int, height: int, least_px: float, most_area: float) -> npt.NDArray[np.bool_]:
    """(N,) which boxes are neither too small to be verified nor most of a picture of that size."""
    wide, high = (boxes[:, 2] - boxes[:, 0]) * width, (boxes[:, 3] - boxes[:, 1]) * height
    return np.asarray((np.minimum(wide, high) >= least_px) & (wide * high <= most_area * width * height))

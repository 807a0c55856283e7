"""Labels and properties of one picture, by the same detectors and words as stored video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.media import Image
from streamproc.logic.colours import Colour, dominant_colours
from streamproc.perception.looks import STILL_LOOKS
from streamproc.perception.objects import ObjectModels
from streamproc.perception.picture_claims import LabelFinder, PictureModels, claims_in
from streamproc.perception.still_labels import LabelOptions, labels_of, say_unknown
from streamproc.perception.taxonomy import taxonomy

_LOOK = 1280
"""Longer side of the picture that the detectors are given."""
_SAMPLE = 160
_SHARP = 1500.0
"""Variance of the Laplacian, at 1280 pixels, of a picture of sharpness 63; twice that is 86."""


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """0..100 each."""

    brightness: float
    sharpness: float
    contrast: float


@dataclass(frozen=True, slots=True)
class Part:
    """The whole picture, its objects, or what is behind them."""

    quality: ImageQuality
    colours: tuple[Colour, ...]


@dataclass(frozen=True, slots=True)
class StillProperties:
    """What a picture looks like."""

    whole: Part
    foreground: Part | None
    """What is inside the boxes of objects; None where there are none."""
    background: Part | None
    """The rest; None where there is none."""


class Stills:
    """Labels of single pictures. Any thread; models are loaded when the first picture comes."""

    def __init__(self, objects: ObjectModels, words: Callable[[], Sequence[LabelFinder]] = tuple) -> None:
        """``words``: the classifiers, asked for with every picture."""
        self._objects = objects
        self._words = words

    def labels(self, image: Image, options: LabelOptions) -> list[dict[str, Any]]:
        """Labels, surest first: ``name``, ``confidence``, ``instances`` (``box``, ``confidence``) and ``entry``, its words."""
        words = taxonomy()
        finders = self._words()
        say_unknown(options, words, own=(name for finder in finders for name in finder.names))
        height, width = image.shape[:2]
        models = PictureModels(self._objects.finder(width, height), finders, STILL_LOOKS)
        found = labels_of(0, claims_in(models, _scaled(image, _LOOK), options.min_confidence), options, words)
        named = [label | {"entry": words.labels[label["name"]]} for label in found]
        return sorted(named, key=lambda label: (-label["confidence"], label["name"]))


def properties(image: Image, boxes: Iterable[Iterable[float]], most_colours: int) -> StillProperties:
    """Quality and colours. ``boxes``: of the objects, in 0..1."""
    small = _scaled(image, _LOOK)
    height, width = small.shape[:2]
    inside = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        rows = slice(max(0, int(top * height)), max(0, round(bottom * height)))
        inside[rows, max(0, int(left * width)) : max(0, round(right * width))] = True
    everything = np.ones_like(inside)
    return StillProperties(
        _part(small, everything, most_colours),
        _part(small, inside, most_colours) if inside.any() else None,
        _part(small, ~inside, most_colours) if inside.any() and not inside.all() else None,
    )


def colours_in(image: Image, box: Iterable[float], most: int) -> list[Colour]:
    """Dominant colours of one object."""
    height, width = image.shape[:2]
    left, top, right, bottom = box
    part = image[max(0, int(top * height)) : round(bottom * height), max(0, int(left * width)) : round(right * width)]
    return dominant_colours(part, most) if part.size else []


def _part(image: Image, mask: npt.NDArray[np.bool_], most_colours: int) -> Part:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    values = grey[mask].astype(np.float32)
    edges = cv2.Laplacian(grey, cv2.CV_32F)[mask]
    quality = ImageQuality(
        brightness=float(values.mean()) / 2.55,
        sharpness=100.0 * (1.0 - math.exp(-float(edges.var()) / _SHARP)),
        contrast=min(100.0, 100.0 * float(values.std()) / 127.5),
    )
    pixels = image[mask]
    step = max(1, len(pixels) // (_SAMPLE * _SAMPLE) + 1)
    sample = pixels[::step]
    side = max(1, min(_SAMPLE, len(sample)))
    square = np.ascontiguousarray(sample[: len(sample) // side * side].reshape(-1, side, 3))
    return Part(quality, tuple(dominant_colours(square, most_colours)))


def _scaled(image: Image, longest: int) -> Image:
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)

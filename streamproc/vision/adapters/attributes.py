"""What else can be read from a face: 68 landmarks, age and gender, expression (face-api's small nets, MIT)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import Box, FloatArray
from streamproc.vision.align import square_crop
from streamproc.vision.engine import Array, Build, Engine, ImageInput
from streamproc.vision.faceapi import EXPRESSIONS, age_gender_graph, expression_graph, landmarks_graph
from streamproc.vision.letterbox import resize

_SIZE = 112
_SPEC = ImageInput(_SIZE, _SIZE, colour="RGB", layout="NHWC")


@dataclass(frozen=True, slots=True)
class AgeGender:
    """The net's mean error on age is about four and a half years, its authors say."""

    age: float
    """Years."""
    male: float
    """Probability, 0..1; of female it is the rest."""


class _FaceNet:
    """Looks at the square around a face's box."""

    def __init__(self, engine: Engine, model: Path, build: Build) -> None:
        self._network = engine.image_network(model, _SPEC, build)

    def _infer(self, image: Image, box: Box) -> tuple[dict[str, Array], Box]:
        crop, place = square_crop(image, box)
        return self._network.infer_image(resize(crop, _SIZE, _SIZE)), place


class Landmarks68(_FaceNet):
    """The 68 points of the iBUG scheme."""

    def __init__(self, engine: Engine, model: Path, manifest: Path) -> None:
        super().__init__(engine, model, lambda _: landmarks_graph(model, manifest))

    def find(self, image: Image, box: Box) -> FloatArray:
        """(68, 2) x, y in 0..1 of ``image``; ``box`` is the face in the same measure."""
        out, place = self._infer(image, box)
        points = out["landmarks"].reshape(68, 2)
        return (points * [place.width, place.height] + [place.left, place.top]).astype(np.float32)


class AgeGenderNet(_FaceNet):
    """Age and gender of one face."""

    def __init__(self, engine: Engine, model: Path, manifest: Path) -> None:
        super().__init__(engine, model, lambda _: age_gender_graph(model, manifest))

    def estimate(self, image: Image, box: Box) -> AgeGender:
        out, _ = self._infer(image, box)
        return AgeGender(max(0.0, float(out["age"][0, 0])), float(out["gender"][0, 0]))


class ExpressionNet(_FaceNet):
    """How a face looks."""

    def __init__(self, engine: Engine, model: Path, manifest: Path) -> None:
        super().__init__(engine, model, lambda _: expression_graph(model, manifest))

    def estimate(self, image: Image, box: Box) -> dict[str, float]:
        """Probabilities that sum to 1, by the names of EXPRESSIONS."""
        out, _ = self._infer(image, box)
        return dict(zip(EXPRESSIONS, (float(value) for value in out["expression"][0]), strict=True))

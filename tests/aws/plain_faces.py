"""FaceService on a reader without models: one face in every picture, alike where the pictures' colours are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamproc.core.faces import DetectedFace, FaceAttributes, QualityFilter
from streamproc.core.vision import Box, FaceBox
from streamproc.faces import quality
from streamproc.faces.calibration import curve_for
from streamproc.faces.service import FaceService
from streamproc.store.collections import CollectionStore

_MARKS = np.array([[0.4, 0.4], [0.6, 0.4], [0.5, 0.5], [0.42, 0.6], [0.58, 0.6]], np.float32)


class PlainReader:
    """What a FaceReader is to the service. A black picture holds no face, a white one two."""

    model, dimensions, model_version = "plain/1", 64, "1.0"
    curve = curve_for("face_reidentification_retail_0095")

    def find(self, image: Any) -> list[FaceBox]:
        mean = float(image.mean())
        faces = [FaceBox(Box(0.2, 0.2, 0.8, 0.8), 0.99, _MARKS), FaceBox(Box(0.0, 0.0, 0.3, 0.3), 0.9, _MARKS * 0.3)]
        return faces[: 0 if mean < 5 else 2 if mean > 250 else 1]

    def judge(self, image: Any, face: FaceBox, gate: QualityFilter) -> DetectedFace:
        return DetectedFace(face, replace(quality.assess(image, face, gate), reasons=()))

    def embed(self, image: Any, face: FaceBox) -> Any:
        generator = np.random.default_rng(int(image.mean()))
        vector = generator.normal(size=self.dimensions).astype(np.float32)
        return vector / np.linalg.norm(vector)

    def attributes(self, image: Any, face: FaceBox) -> FaceAttributes:
        emotions = {"HAPPY": 0.8, "CALM": 0.2}
        return FaceAttributes(30.0, 0.2, emotions, np.random.default_rng(1).random((68, 2)).astype(np.float32))


def picture(shade: int, size: int = 200, kind: str = ".png") -> bytes:
    """A picture of one shade with some texture, so that it counts as sharp."""
    noise = np.random.default_rng(shade).integers(-5, 6, (size, size, 3)) if 10 < shade < 245 else 0
    image = np.clip(np.full((size, size, 3), shade) + noise, 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(kind, image)[1])


def plain_faces(folder: Path) -> FaceService:
    return FaceService(CollectionStore(folder), PlainReader)  # type: ignore[arg-type]

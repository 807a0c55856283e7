"""From a face, or a whole person, to a vector that can be compared by cosine."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from streamproc.core.media import Image
from streamproc.core.vision import FloatArray
from streamproc.vision.align import DLIB, RETAIL_0095, Points, face_chip
from streamproc.vision.engine import Engine, ImageInput
from streamproc.vision.faceapi import recognition_graph
from streamproc.vision.letterbox import resize

_ALIGNMENT = "1"
"""Counted up when chips are cut otherwise, because vectors then stop being comparable."""


class Retail0095:
    """Intel's face-reidentification-retail-0095 (Apache-2.0): 128x128 BGR chip, 256 numbers."""

    dimensions = 256
    _SIZE = 128

    def __init__(self, engine: Engine, model: Path, weights: Path, *, name: str) -> None:
        self.name = name
        self.version = _version(name, weights)
        spec = ImageInput(self._SIZE, self._SIZE)
        self._network = engine.image_network(model, spec, lambda core: core.read_model(model, weights))

    def embed(self, image: Image, landmarks_px: Points) -> FloatArray:
        return self.embed_chip(face_chip(image, landmarks_px, RETAIL_0095, self._SIZE))

    def embed_chip(self, chip: Image) -> FloatArray:
        """The same of a chip that is aligned already."""
        (out,) = self._network.infer_image(chip).values()
        return unit(out)


class FaceApiRecognition:
    """dlib's face ResNet as face-api packs it (MIT): 150x150 RGB chip, 128 numbers."""

    dimensions = 128
    _SIZE = 150
    _PADDING = 0.25

    def __init__(self, engine: Engine, model: Path, manifest: Path, *, name: str) -> None:
        self.name = name
        self.version = _version(name, model)
        spec = ImageInput(self._SIZE, self._SIZE, colour="RGB", layout="NHWC")
        self._network = engine.image_network(model, spec, lambda _: recognition_graph(model, manifest))

    def embed(self, image: Image, landmarks_px: Points) -> FloatArray:
        return self.embed_chip(face_chip(image, landmarks_px, DLIB, self._SIZE, self._PADDING))

    def embed_chip(self, chip: Image) -> FloatArray:
        """The same of a chip that is aligned already."""
        (out,) = self._network.infer_image(chip).values()
        return unit(out)


class PersonReid:
    """Intel's person-reidentification-retail-0287 (Apache-2.0): a hint for linking tracks, no identity."""

    dimensions = 256
    _SIZE = (128, 256)

    def __init__(self, engine: Engine, model: Path, weights: Path, *, name: str) -> None:
        self.name = name
        self.version = _version(name, weights)
        spec = ImageInput(*self._SIZE)
        self._network = engine.image_network(model, spec, lambda core: core.read_model(model, weights))

    def embed(self, crop: Image) -> FloatArray:
        """L2-normalised (256,) vector of a crop that holds one person from head to foot."""
        if crop.size == 0:
            raise ValueError("cannot embed an empty crop")
        (out,) = self._network.infer_image(resize(crop, *self._SIZE)).values()
        return unit(out)


def unit(vector: FloatArray) -> FloatArray:
    """Flat, of length one."""
    flat = vector.reshape(-1).astype(np.float32)
    return flat / max(float(np.linalg.norm(flat)), 1e-12)


def _version(name: str, weights: Path) -> str:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    return f"{name}/{digest}/{_ALIGNMENT}"

"""An image encoder and a file of text embeddings: which of a user's own words are true of a picture.

The vectors of the words come from the text half of the same model (SigLIP, CLIP and their like), made once where that model is at hand; here only
the image half runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamproc.core.errors import InputError
from streamproc.core.media import Image
from streamproc.core.vision import FloatArray
from streamproc.vision.engine import Engine, ImageInput

_MOST_BYTES = 256 * 2**20
_SLOPE = 50.0
"""Of confidence over cosine, where a file gives none: 0.06 above its threshold a word is told with 95."""


@dataclass(frozen=True, slots=True)
class WordBank:
    """Words with their vectors."""

    names: tuple[str, ...]
    vectors: FloatArray
    """(words, width) float32, each of length 1."""
    thresholds: FloatArray
    """(words,) the cosine at which a word is right half the time."""
    slope: float
    """Log-odds for one of cosine above the threshold; SigLIP's own logit scale is such a number."""
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    scale: tuple[float, float, float] = (127.5, 127.5, 127.5)
    """What the encoder wants subtracted from and divided into RGB of 0..255."""


def read_bank(path: Path) -> WordBank:
    """A bank from ``.npz`` or ``.json``: ``names``, ``vectors``, ``thresholds`` (one a word, or one for all), and as one likes ``slope``,
    ``mean``, ``scale``. Raises InputError, naming the key, for a file that is none.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: larger than {_MOST_BYTES} bytes; give fewer words")
        if path.suffix == ".json":
            document = json.loads(path.read_text(encoding="utf-8"))
        else:
            with np.load(path, allow_pickle=False) as file:
                document = {key: file[key] for key in file.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a bank of words (.npz or .json): {error}") from None
    return _bank(path, document)


def _bank(path: Path, document: Mapping[str, Any]) -> WordBank:
    missing = [key for key in ("names", "vectors", "thresholds") if key not in document]
    if missing:
        raise InputError(f"{path}: {missing[0]} is missing")
    names = tuple(str(name).strip() for name in document["names"])
    vectors = _numbers(path, document, "vectors")
    if vectors.ndim != 2 or len(vectors) != len(names) or not names:
        raise InputError(f"{path}: vectors has to be one row for each of the {len(names)} names")
    if len(set(names)) != len(names) or not all(names):
        raise InputError(f"{path}: names has to be words that differ from each other")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(vectors).all() or (lengths < 1e-6).any():
        raise InputError(f"{path}: vectors has a row without length, or with something that is no number")
    thresholds = np.broadcast_to(_numbers(path, document, "thresholds"), (len(names),))
    extra: dict[str, Any] = {}
    for key in ("mean", "scale"):
        if key in document:
            extra[key] = tuple(float(value) for value in np.broadcast_to(_numbers(path, document, key), (3,)))
    return WordBank(names, vectors / lengths, thresholds, float(document.get("slope", _SLOPE)), **extra)


def _numbers(path: Path, document: Mapping[str, Any], key: str) -> FloatArray:
    try:
        return np.asarray(document[key], np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {key} has to be numbers") from None


class EmbeddingBank:
    """A classifier of a user's own words; several may be true at once, so its probabilities do not sum to 1."""

    def __init__(self, engine: Engine, model: Path, bank: WordBank, *, name: str, size: tuple[int, int]) -> None:
        self.name = name
        self.names = bank.names
        self.input_size = size
        self._bank = bank
        spec = ImageInput(*size, colour="RGB", mean=bank.mean, scale=bank.scale)
        self._network = engine.image_network(model, spec)

    def classify(self, image: Image) -> FloatArray:
        """(words,) float32, the probability of each. Raises InputError where the encoder's vectors are of another width than the bank's."""
        if image.size == 0:
            raise ValueError("cannot classify an empty crop")
        shrinks = image.shape[0] > self.input_size[1]
        resized = cv2.resize(image, self.input_size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        vector = next(iter(self._network.infer_image(np.asarray(resized, np.uint8)).values())).reshape(-1)
        if len(vector) != self._bank.vectors.shape[1]:
            raise InputError(
                f"{self.name}: the model gives {len(vector)} numbers, the bank's vectors have {self._bank.vectors.shape[1]}"
            )
        cosines = self._bank.vectors @ (vector / max(1e-6, float(np.linalg.norm(vector))))
        odds = self._bank.slope * (cosines - self._bank.thresholds)
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -60, 60))), np.float32)

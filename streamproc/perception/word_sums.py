"""From an ImageNet classifier's probabilities to the labels of the taxonomy: each label has the sum of all classes below it.

A dog whose breed is unsure is a Dog all the same: its 118 breeds add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from streamproc.core.vision import FloatArray
from streamproc.perception.taxonomy import Taxonomy, taxonomy
from streamproc.vision.names import imagenet_words


class WordSums:
    """Sums for one vocabulary. Immutable."""

    def __init__(self, words: Taxonomy, classes: tuple[str, ...]) -> None:
        """``classes``: by index, as ``Taxonomy.imagenet`` names them."""
        led = [words.imagenet.get(word) for word in classes]
        self.labels = tuple(
            name for name in words.labels if any(one is not None and words.is_a(one, name) for one in led)
        )
        """Labels that some class leads to."""
        member = np.zeros((len(self.labels), len(classes)), np.float32)
        rows = {name: row for row, name in enumerate(self.labels)}
        for column, label in enumerate(led):
            if label is not None:
                member[[rows[name] for name in (label, *words.labels[label].parents)], column] = 1
        self._member = member
        counts: npt.NDArray[np.int64] = member.sum(1).astype(np.int64)
        self.classes_of: Mapping[str, int] = dict(zip(self.labels, counts.tolist(), strict=True))
        """How many classes are a label."""

    def sums(self, probabilities: FloatArray, least: float) -> dict[str, float]:
        """Labels whose classes sum to ``least`` (0..1) or more. ``probabilities``: of the 1000 classes, or with background in front."""
        if len(probabilities) == self._member.shape[1] + 1:
            probabilities = probabilities[1:]
        shares = self._member @ probabilities
        return {self.labels[row]: float(shares[row]) for row in np.flatnonzero(shares >= least)}


@cache
def word_sums() -> WordSums:
    """Of ``taxonomy.yaml`` and ImageNet's classes."""
    return WordSums(taxonomy(), imagenet_words())

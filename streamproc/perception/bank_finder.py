"""Labels by a user's own bank of words: of the whole picture and of its objects, as sure as the bank's thresholds say."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.contracts import Classifier
from streamproc.core.media import Image
from streamproc.perception.claims import Claim
from streamproc.perception.looks import plan
from streamproc.perception.word_finder import crop_of

_LEAST = 0.05


class BankFinder:
    """Labels of pictures by one bank. Any thread."""

    def __init__(self, bank: Classifier) -> None:
        self._bank = bank

    @property
    def names(self) -> tuple[str, ...]:
        """What it can tell."""
        return self._bank.names

    def find(self, image: Image, claims: Sequence[Claim], most: int) -> list[Claim]:
        """Labels from at most ``most`` looks; of an object with its box. ``claims``: the picture's objects."""
        height, width = image.shape[:2]
        return [
            Claim(name, 100 * float(sure), look.box if look.of is not None else None)
            for look in plan(claims, width, height, most)
            for name, sure in zip(self._bank.names, self._bank.classify(crop_of(image, look)), strict=True)
            if sure >= _LEAST
        ]

"""Indoors or Outdoors, and a Crowd: what the things of a picture say together. Pure.

Day and Night are not told: a street under lamps is as bright as a road on a grey day (``benchmarks.daylight``), and nothing here tells them apart surely.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from streamproc.core.vision import FloatArray
from streamproc.logic.evidence import sigmoid
from streamproc.perception.claims import Claim
from streamproc.perception.taxonomy import Taxonomy, taxonomy
from streamproc.vision.names import imagenet_words

INDOOR_SIGNS = [
    "Furniture",
    "Linen",
    "Bathroom Fixture",
    "Kitchenware",
    "Appliance",
    "Lamp",
    "Electronics",
    "Stationery",
    "Rug",
    "Restaurant",
    "Shop",
    "Sink",
    "Toilet",
    "Publication",
]
OUTDOOR_SIGNS = [
    "Nature",
    "Vehicle",
    "Bridge",
    "Fence",
    "Street Furniture",
    "Wildlife",
    "Livestock",
    "Bird",
    "Traffic Light",
    "Sign",
    "Mountain Tent",
    "Outdoor Area",
    "Water Structure",
    "Monument",
    "Pole",
    "Ski",
    "Snowboard",
    "Surfboard",
    "Kite",
    "Construction Machine",
    "Plant",
    "Bench",
    "Fire Hydrant",
    "House",
    "House of Worship",
    "Outbuilding",
    "Tower",
    "Public Building",
]
_FLOOR = 0.05
_MOST_OBJECTS = 2.0
_SEEN = 20.0
CROWD = 10
"""So many people in view are a crowd."""


class SceneSigns:
    """What of a classifier's probabilities speaks for indoors and for outdoors."""

    def __init__(self, words: Taxonomy, classes: Sequence[str]) -> None:
        self._indoors, self._outdoors = _marks(words, classes)
        self._words = words

    def terms(self, shares: FloatArray, claims: Iterable[Claim]) -> dict[str, float]:
        """Inputs of the model: log ratio of the shares, and by how much the objects speak more for indoors (in sure objects).

        ``shares``: of the whole picture, 1000 or with background in front. ``claims``: its objects.
        """
        shares = shares[-len(self._indoors) :]
        inside, outside = float(shares[self._indoors].sum()), float(shares[self._outdoors].sum())
        objects = [0.0, 0.0]
        for claim in claims:
            if claim.confidence >= _SEEN:
                for side, signs in enumerate((INDOOR_SIGNS, OUTDOOR_SIGNS)):
                    if any(self._words.is_a(claim.label, sign) for sign in signs):
                        objects[side] += claim.confidence / 100
        more = min(objects[0], _MOST_OBJECTS) - min(objects[1], _MOST_OBJECTS)
        return {"shares": math.log((inside + _FLOOR) / (outside + _FLOOR)), "even": 1.0, "objects": more}


def _marks(words: Taxonomy, classes: Sequence[str]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    def of(signs: Sequence[str]) -> npt.NDArray[np.bool_]:
        led = [words.imagenet.get(word) for word in classes]
        return np.array([one is not None and any(words.is_a(one, sign) for sign in signs) for one in led])

    inside, outside = of(INDOOR_SIGNS), of(OUTDOOR_SIGNS)
    return inside, outside & ~inside


@cache
def scene_signs() -> SceneSigns:
    """Of ``taxonomy.yaml`` and ImageNet's classes."""
    return SceneSigns(taxonomy(), imagenet_words())


def indoors_or_out(terms: Mapping[str, float], weights: Mapping[str, float]) -> Claim:
    """The likelier of the two."""
    inside = 100 * sigmoid(sum(weights[name] * value for name, value in terms.items()))
    return Claim("Indoors", inside) if inside >= 50 else Claim("Outdoors", 100 - inside)


def crowd(claims: Iterable[Claim]) -> list[Claim]:
    """A Crowd with the probability that ten or more of the people claimed are there; nothing where fewer are claimed."""
    sure = [claim.confidence / 100 for claim in claims if claim.label == "Person" and claim.box is not None]
    if len(sure) < CROWD:
        return []
    chances = np.ones(1)
    for each in sure:
        chances = np.convolve(chances, [1 - each, each])
    return [Claim("Crowd", float(100 * chances[CROWD:].sum()))]

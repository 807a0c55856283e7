"""Similarity 0..100 from an embedder's cosine, so that 80 means the same whichever embedder is used. Pure.

Anchors, measured by ``python -m benchmarks.faces_accuracy`` (rows ``calibration``): 80 is where about one of 10,000 pairs of
different people lands, 99 is near the median pair of photos of one person. Between and beyond the curve is logistic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

_LOGIT_80: Final = float(np.log(80 / 20))
_LOGIT_99: Final = float(np.log(99 / 1))


@dataclass(frozen=True, slots=True)
class Curve:
    """Two cosines of an embedder."""

    at_80: float
    at_99: float

    @property
    def slope(self) -> float:
        return (_LOGIT_99 - _LOGIT_80) / (self.at_99 - self.at_80)

    def similarity(self, cosine: float) -> float:
        """0..100; rises with the cosine."""
        return float(100 / (1 + np.exp(-(_LOGIT_80 + self.slope * (cosine - self.at_80)))))

    def similarities(self, cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The same for an array of any shape."""
        return np.asarray(100 / (1 + np.exp(-(_LOGIT_80 + self.slope * (cosines.astype(np.float64) - self.at_80)))))

    def cosine(self, similarity: float) -> float:
        """The cosine at which ``similarity`` is reached; -1 for 0 and 1 for 100."""
        if similarity <= 0:
            return -1.0
        if similarity >= 100:
            return 1.0
        share = similarity / 100
        return float(self.at_80 + (np.log(share / (1 - share)) - _LOGIT_80) / self.slope)


CURVES: Final[dict[str, Curve]] = {
    "face_reidentification_retail_0095": Curve(at_80=0.36, at_99=0.72),
    "faceapi_recognition": Curve(at_80=0.935, at_99=0.970),
}
"""By the embedder's name. face-api's vectors are compared by cosine too: all its faces lie close together (strangers 0.85)."""

DEFAULT_CURVE: Final = Curve(at_80=0.4, at_99=0.75)
"""For a user's own embedder, until it is measured."""


def curve_for(embedder: str) -> Curve:
    return CURVES.get(embedder, DEFAULT_CURVE)

"""What is in one picture: several detectors, one vocabulary, each object once, and confidences that mean something.

A confidence of 50 is right about every second time. The weights come from a logistic regression on 54 photographs with known boxes
(COCO val2017 and VOC2012 whole frames, 386 objects): log-odds of being right from the log-odds of each model's score, separately for
classes that all models know and for those that the SSD does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from streamproc.contracts import Detector
from streamproc.core.media import Image
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import as_boxes, seeds
from streamproc.logic.evidence import family, logit, sigmoid
from streamproc.perception.detect import common_name
from streamproc.perception.label_models import frame_size

LOOK = 960
"""Longer side of the picture that the detectors are given."""
_STILL_DETECTORS = ("deimv2_femto", "ssd_oidv4")
"""Detectors beside the people detector, as far as they can be had."""
_SIDE_BY_SIDE = 2
"""How many detectors look at pictures at the same time."""
_PEOPLE_DETECTORS = 2
"""Of those, how many look for people alone: photographs and tracks show no gain by a third (docs/accuracy.md)."""
_LEAST = 0.05
_DOUBT = (0.15, 0.7)
"""Scores of the people detector between which it is not sure."""
_SAME = 0.5
_EVERYBODY: Mapping[str, float] = {"yolox": 0.70, "deimv2": 0.66, "ssd": 0.19}
_COCO_ONLY: Mapping[str, float] = {"yolox": 0.89, "deimv2": 0.77}
_BIAS = {True: 1.17, False: 0.51}
_ALONE = (1.1, 0.55)
"""Slope, and the score that is right half the time, of a model that is the only one to know a class."""
_DOUBTFUL = frozenset({"footwear", "box", "desk"})
"""Classes that the SSD gives freely."""


class StillZoo(Protocol):
    """What is needed of ``vision.zoo.ModelZoo``."""

    def person_detector(self, size: tuple[int, int] | None = None) -> Detector: ...

    def those_had(self, names: Iterable[str], size: tuple[int, int] | None = None) -> list[Detector]: ...


@dataclass(frozen=True, slots=True)
class SeenObject:
    """One object of one picture."""

    name: str
    """In the models' common vocabulary."""
    box: Box
    confidence: float
    """0..100."""


class ObjectFinder:
    """The objects of pictures of about one shape. Any thread."""

    def __init__(self, detectors: Sequence[Detector], pool: Executor) -> None:
        """``pool``: the detectors look at the same picture side by side, because a caller has nothing else to do meanwhile."""
        self._detectors = tuple(detectors)
        self._pool = pool

    def find(
        self, image: Image, min_confidence: float, memo: dict[str, Any] | None = None, *, only: str | None = None
    ) -> list[SeenObject]:
        """Objects at or above ``min_confidence`` (0..100), surest first.

        ``memo``: the frame's, to ask each detector once. ``only``: of that class (common vocabulary); weighing all the others costs as
        much as a tenth of the detectors.
        """
        memo = {} if memo is None else memo
        self._ask(self._detectors, image, memo)
        return _weighed(self._detectors, memo, min_confidence, only)

    def _ask(self, detectors: Sequence[Detector], image: Image, memo: dict[str, Any]) -> None:
        missing = [detector for detector in detectors if detector.name not in memo]
        looks = self._pool.map(lambda detector: detector.detect(image, _LEAST), missing)
        memo |= zip([detector.name for detector in missing], looks, strict=True)


class PeopleFinder(ObjectFinder):
    """The people of pictures of about one shape. Any thread."""

    def people(
        self, image: Image, min_confidence: float, memo: dict[str, Any] | None = None, *, thorough: bool = True
    ) -> list[SeenObject]:
        """People at or above ``min_confidence``, surest first. Unless ``thorough``, the first detector alone is asked where it has no doubt."""
        memo = {} if memo is None else memo
        asked = self._detectors
        if not thorough:
            self._ask(asked[:1], image, memo)
            asked = asked if _doubtful(memo[asked[0].name]) else asked[:1]
        self._ask(asked, image, memo)
        return _weighed(asked, memo, min_confidence, "person")


def _doubtful(found: Detections) -> bool:
    """Whether something may be a person or not."""
    low, high = _DOUBT
    return any(low < found.scores[row] < high and common_name(found.name(row)) == "person" for row in range(len(found)))


class ObjectModels:
    """Makes finders. Owns the threads that their detectors look with. Any thread."""

    def __init__(self, zoo: Callable[[], StillZoo]) -> None:
        """``zoo``: asked when the first picture comes."""
        self._zoo = zoo
        self._pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="look")

    def finder(self, width: int, height: int) -> ObjectFinder:
        """A finder for pictures of that many pixels, with the detectors that can be had. Raises ModelUnavailable without a first one."""
        return ObjectFinder(self._detectors(width, height), self._pool)

    def people_finder(self, width: int, height: int) -> PeopleFinder:
        """The same for people alone, with the first of those detectors."""
        return PeopleFinder(self._detectors(width, height)[:_PEOPLE_DETECTORS], self._pool)

    def _detectors(self, width: int, height: int) -> list[Detector]:
        zoo = self._zoo()
        detectors = (zoo.person_detector(frame_size(width, height)), *zoo.those_had(_STILL_DETECTORS))
        return list({each.name: each for each in detectors}.values())

    def close(self) -> None:
        """What is being looked at is finished; finders are of no use afterwards."""
        self._pool.shutdown()


def _weighed(
    detectors: Sequence[Detector], looks: Mapping[str, Detections], min_confidence: float, only: str | None
) -> list[SeenObject]:
    """Objects out of what each detector (by name) saw in one picture."""
    knows = {detector.name: {common_name(name) for name in detector.names} for detector in detectors}
    rows: list[tuple[float, str, Box, str]] = []
    for detector in detectors:
        found = looks[detector.name]
        names = [common_name(found.name(row)) for row in range(len(found))]
        rows += [
            (float(found.scores[row]), name, found.box(row), detector.name)
            for row, name in enumerate(names)
            if only is None or name == only
        ]
    rows.sort(key=lambda row: (-row[0], row[1], row[3]))
    begun = seeds(as_boxes([box for _, _, box, _ in rows]), _SAME, [name for _, name, _, _ in rows])
    clusters: dict[int, dict[str, float]] = {}
    for seed, (score, _, _, model) in zip(begun, rows, strict=True):
        scores = clusters.setdefault(seed, {})
        scores[model] = max(score, scores.get(model, 0.0))
    objects = [
        SeenObject(rows[seed][1], rows[seed][2], 100 * _sureness(rows[seed][1], scores, knows))
        for seed, scores in clusters.items()
    ]
    kept = [each for each in objects if each.confidence >= min_confidence]
    return sorted(kept, key=lambda each: (-each.confidence, each.name, each.box))


def _sureness(name: str, scores: Mapping[str, float], knows: Mapping[str, set[str]]) -> float:
    """Probability that the object is there, 0..1."""
    able = [model for model, names in knows.items() if name in names]
    families = {family(model) for model in able}
    if len(families) < 2 or not families & {"yolox", "deimv2"}:
        slope, even = _ALONE
        even = 0.7 if name in _DOUBTFUL else even
        return sigmoid(slope * (logit(max(scores.values())) - logit(even)) * 1.5)
    weights = _EVERYBODY if "ssd" in families else _COCO_ONLY
    odds = sum(weights.get(family(model), 0.7) * logit(scores.get(model, 0.02)) for model in able)
    # A model that could not be had leaves its say to the others.
    missing = [weight for kind, weight in weights.items() if kind not in families]
    if missing:
        odds *= sum(weights.values()) / (sum(weights.values()) - sum(missing))
    return sigmoid(odds + _BIAS["ssd" in families])

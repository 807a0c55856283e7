"""Objects of one look: what several models found at one place, as scores by group and model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamproc.contracts import Classifier, Detector
from streamproc.core.classes import OBJECT_GROUPS, Group
from streamproc.core.media import Picture
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import as_boxes, covered, expand, mapped, seeds
from streamproc.logic.evidence import (
    CROP_VOTES,
    FRAME_VOTES,
    against_the_rest,
    log_odds,
    sigmoid,
)
from streamproc.perception.detect import by_group, detect_all
from streamproc.perception.label_models import known_groups

LEAST_SCORE = 0.1
"""Detections under this are not even evidence."""
NOISE = 0.3
"""A candidate of less strength is noise of the detectors."""
_SAME = 0.55
"""IoU at which boxes of different models or groups are taken for one object."""
_MARGIN = 1.2
"""A second look takes in so much more than the box of what moves; more lets the background speak."""
_LEAST_PX = 40
"""Smallest side of a second look, in native pixels."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible object."""

    box: Box
    odds: Mapping[Group, float]
    """Log-odds of each group against nothing."""
    scores: Mapping[Group, Mapping[str, float]]
    """The models' own scores, for the record."""
    second_look: bool = False

    @property
    def strength(self) -> float:
        """0..1: how sure it is that this is anything at all that has a group."""
        return sigmoid(max(self.odds.values()))

    def evidence(self) -> dict[Group, float]:
        """Log-odds of each group against the rest."""
        return against_the_rest(self.odds)


@dataclass
class _Cluster:
    box: Box
    scores: dict[Group, dict[str, float]] = field(default_factory=dict)

    def add(self, group: Group, model: str, score: float) -> None:
        mine = self.scores.setdefault(group, {})
        mine[model] = max(mine.get(model, 0.0), score)


def in_frame(detectors: Sequence[Detector], found: Sequence[Detections]) -> list[Candidate]:
    """What each detector found in the whole picture, as objects."""
    models = known_groups(detectors)
    return [
        Candidate(cluster.box, log_odds(cluster.scores, models, FRAME_VOTES), cluster.scores)
        for cluster in _clusters(detectors, found)
    ]


def _clusters(detectors: Sequence[Detector], found: Sequence[Detections]) -> list[_Cluster]:
    """Boxes that cover one another nearly are one object, whatever models and groups they come from; surest first."""
    rows: list[tuple[float, Box, Group, str]] = []
    for detector, detections in zip(detectors, found, strict=True):
        for group, some in by_group(detections).items():
            if group in OBJECT_GROUPS:
                rows += [(float(some.scores[row]), some.box(row), group, detector.name) for row in range(len(some))]
    rows.sort(key=lambda row: (-row[0], row[3], row[2]))
    begun = seeds(as_boxes([box for _, box, _, _ in rows]), _SAME)
    clusters = {seed: _Cluster(rows[seed][1]) for seed in dict.fromkeys(begun)}
    for seed, (score, _, group, model) in zip(begun, rows, strict=True):
        clusters[seed].add(group, model, score)
    return list(clusters.values())


def nothing_there(detectors: Sequence[Detector]) -> dict[Group, float]:
    """What it means that the detectors found nothing in the whole frame at a place where they should have."""
    return log_odds({}, known_groups(detectors), FRAME_VOTES)


def up_close(
    detectors: Sequence[Detector],
    classifier: Classifier | None,
    picture: Picture,
    spot: Box,
    classified: Mapping[Group, Sequence[int]],
) -> Candidate:
    """A second look at what moves at ``spot``, tightly and at native resolution.

    ``classified``: which of the classifier's classes speak for which group (indexes).
    """
    least = max(_LEAST_PX / picture.width, _LEAST_PX / picture.height)
    window = expand(spot, _MARGIN, least).clipped()
    image = picture.crop(window)
    scores: dict[Group, dict[str, float]] = {}
    best: tuple[float, Box] = (0.0, spot)
    for detector, detections in zip(detectors, detect_all(detectors, image, LEAST_SCORE), strict=True):
        boxes = mapped(detections.boxes, window)
        if not len(boxes):
            continue
        # A part of the background is not what moves, nor is a hand or a shoe of it.
        fits = covered(as_boxes([spot]), boxes)[0] > 0.3
        for group, some in by_group(detections.take(fits)).items():
            if group not in OBJECT_GROUPS:
                continue
            top = int(some.scores.argmax())
            scores.setdefault(group, {})[detector.name] = float(some.scores[top])
            if float(some.scores[top]) > best[0]:
                best = (float(some.scores[top]), Box(*mapped(some.boxes[top : top + 1], window)[0].tolist()))
    models = dict(known_groups(detectors))
    if classifier is not None and classified:
        shares = classifier.classify(image)
        for group, indexes in classified.items():
            scores.setdefault(group, {})["classifier"] = float(shares[list(indexes)].sum())
        models["classifier"] = frozenset(classified)
    return Candidate(best[1] if best[0] > 0.3 else spot, log_odds(scores, models, CROP_VOTES), scores, second_look=True)

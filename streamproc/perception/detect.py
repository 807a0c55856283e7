"""Several detectors on one picture, spoken in one vocabulary, each object once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamproc.contracts import Detector
from streamproc.core.classes import Group
from streamproc.core.media import Image
from streamproc.core.vision import Detections
from streamproc.logic.boxes import nms
from streamproc.perception.beside import ALONE, Beside

_OTHER_WORDS = {
    "computer monitor": "tv",
    "computer mouse": "mouse",
    "coffee cup": "cup",
    "table": "dining table",
    "cattle": "cow",
}
"""Names of other vocabularies (OpenImages) as COCO has them."""
_GROUP_OF = {name: group for group in Group for name in group.traits.members}


def common_name(name: str) -> str:
    """A class name in one vocabulary: lower case, COCO's word where COCO has the class."""
    lower = name.lower()
    return _OTHER_WORDS.get(lower, lower)


def group_of(name: str) -> Group | None:
    """PERSON for a person, PET for cats and dogs...; None for everything that neither is announced nor explains away."""
    return _GROUP_OF.get(common_name(name))


def by_group(found: Detections) -> dict[Group, Detections]:
    """Detections of each group, cats and dogs merged before suppression: models often find both in one animal."""
    groups = [group_of(found.name(row)) for row in range(len(found))]
    answer: dict[Group, Detections] = {}
    for group in dict.fromkeys(group for group in groups if group is not None):
        rows = np.array([index for index, each in enumerate(groups) if each is group], np.intp)
        some = found.take(rows)
        answer[group] = some.take(nms(some.boxes, some.scores, 0.6))
    return answer


def detect_all(
    detectors: Sequence[Detector], image: Image, min_score: float, beside: Beside = ALONE
) -> list[Detections]:
    """Every detector's answer, in order."""
    return beside.map(lambda detector: detector.detect(image, min_score), detectors)


def merged(found: Sequence[Detections], threshold: float = 0.55) -> Detections:
    """One list of many: names in the common vocabulary, an object that several models found under one name only once.

    Scores and boxes are those of the surest model.
    """
    names = tuple(dict.fromkeys(common_name(name) for each in found for name in each.names))
    index = {name: number for number, name in enumerate(names)}
    total = [each for each in found if len(each)]
    if not total:
        return Detections.empty(names)
    boxes = np.concatenate([each.boxes for each in total])
    scores = np.concatenate([each.scores for each in total])
    classes = np.array([index[common_name(each.name(row))] for each in total for row in range(len(each))], np.int32)
    rows = nms(boxes, scores, threshold, classes)
    return Detections(boxes[rows], scores[rows], classes[rows], names)

"""Which pictures of a stored video detectors look at for people: often where they meet, come or go, half as often where all are followed surely.

Between two looks the smoothed path (``logic.tracklets``) says where everybody was. Pure; pictures are counted, so the same video is looked at
at the same pictures on every run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from streamproc.logic.boxes import Boxes, Floats, as_boxes, iou

_THERE = 0.5
"""A detection of this score is a person..."""
_DOUBTFUL = 0.3
"""...and one from here on may be one."""
_STAYS = 0.5
"""Least overlap (IoU) of somebody's boxes in two looks in a row that leaves no doubt who is who."""
_TOUCH = 0.05
"""People whose boxes overlap more (IoU) may be taken for one another."""
_CALM_STEPS = 2
"""Of the looks that are due, one of so many where all are followed surely."""


@dataclass
class LookPlan:
    """What the next look depends on; a state document can hold it (``structure.to_document``)."""

    step: int
    """Pictures from look to look where people meet, come or go."""
    last: int = -1
    """The picture of the newest look; -1 before the first."""
    calm: bool = False
    """Everybody of the newest look was there in the one before, alone and near the same place."""
    boxes: Boxes = field(default_factory=lambda: as_boxes([]))
    """(N, 4) what the newest look found."""
    scores: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """(N,) probabilities."""

    def due(self, index: int) -> bool:
        """Whether to look at the picture of this number."""
        if self.last < 0:
            return True
        return index % self.step == 0 and (not self.calm or index - self.last >= _CALM_STEPS * self.step)

    def took(self, index: int, boxes: Boxes, scores: Floats, *, cut: bool = False) -> None:
        """A look found these. ``cut``: in another scene than the look before."""
        before, now = self.boxes[self.scores >= _THERE], boxes[scores >= _THERE]
        doubt = bool(((scores >= _DOUBTFUL) & (scores < _THERE)).any())
        self.calm = self.last >= 0 and not cut and not doubt and _same_places(before, now) and not _touching(now)
        self.last, self.boxes, self.scores = index, boxes, scores


def _same_places(before: Boxes, now: Boxes) -> bool:
    if len(before) != len(now):
        return False
    if not len(now):
        return True
    overlap = iou(before, now)
    return bool((overlap.max(0) >= _STAYS).all() and (overlap.max(1) >= _STAYS).all())


def _touching(boxes: Boxes) -> bool:
    overlap = iou(boxes, boxes)
    np.fill_diagonal(overlap, 0.0)
    return bool((overlap > _TOUCH).any())

"""What a look found and no track believes in: too faint, of a class that is not asked for, or turned down as a package."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from streamproc.core.classes import Group
from streamproc.core.decisions import Candidate, Gate, Refusal
from streamproc.core.observation import TrackView
from streamproc.core.vision import Box
from streamproc.logic.boxes import as_boxes, iou
from streamproc.perception import candidates
from streamproc.perception.parcels import TurnedDown

_EVEN = 0.5
"""A candidate of less strength speaks against its class, so that no track believes in it."""
_MOST = 6
"""So many of the candidates that are too weak to count are reported for a frame; the weaker ones are noise."""
_SAME = 0.3
"""IoU from which a weak candidate is what a track follows."""


def passed_over(
    whole: Sequence[candidates.Candidate],
    tracks: Sequence[TrackView],
    asked: Collection[str],
    turned_down: Sequence[TurnedDown] = (),
) -> tuple[Candidate, ...]:
    """With the reason of each. ``whole``: of the whole frame, before second looks. ``tracks``: all, also of classes not asked for."""
    others = [
        Candidate(view.id, view.label, view.confidence, view.box, Refusal(Gate.DETECTOR, "class"))
        for view in tracks
        if view.label not in asked
    ]
    taken = as_boxes([view.box for view in tracks])
    faint = []
    for each in whole:
        label = max(each.odds, key=lambda group: each.odds[group]).value
        if each.strength < _EVEN and label in asked and not _overlaps(each.box, taken):
            faint.append(_too_weak(label, each.box, each.strength, _EVEN))
    faint += [_no_parcel(each) for each in turned_down]
    return (*others, *sorted(faint, key=lambda each: -each.score)[:_MOST])


def _overlaps(box: Box, others: npt.NDArray[np.float32]) -> bool:
    return len(others) > 0 and bool(iou(as_boxes([box]), others).max() > _SAME)


def _no_parcel(each: TurnedDown) -> Candidate:
    """Its best look may have been good enough; then the others, or where it is, spoke against it."""
    label = Group.PACKAGE.value
    if each.share < each.needed:
        return _too_weak(label, each.box, each.share, each.needed)
    return Candidate(0, label, 100 * each.share, each.box, Refusal(Gate.EVIDENCE, "unsure"))


def _too_weak(label: str, box: Box, share: float, needed: float) -> Candidate:
    return Candidate(0, label, 100 * share, box, Refusal(Gate.DETECTOR, "weak", 100 * share, 100 * needed))

"""Labels of a stored video over neighbouring samples: what is seen again is surer, what one sample alone says is less so. Pure.

Each sample's claim is a vote in log-odds. Its neighbours within a shot, two on either side, add what they say for the same label at the
same place; a neighbour that says nothing takes some away. Something that does not move adds little: the same picture tells nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from streamproc.core.vision import Box
from streamproc.logic.boxes import as_boxes, iou
from streamproc.logic.evidence import differ, logit, sigmoid
from streamproc.perception.claims import Claim

LEAST = 20.0
"""Claims under this are not even evidence."""
_REACH = 2
_WITHIN_MS = 1300
"""Neighbours are at most so far away; samples are half a second apart."""
_NOTHING = 0.2
"""What a label is worth before anything was seen."""
_AGAIN = 0.4
"""Weight of a neighbour's vote for something that moved in between."""
_STILL = 0.1
"""The same for what did not move, or has no place."""
_SILENT = 0.5
"""Log-odds that a neighbour without the label takes away."""
_ALONE = 85.0
"""A label of one sample that has neighbours is told from this on only."""
_MOST = 97.0
"""Repetition makes nothing surer than this; a sample's own confidence may be higher."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one picture of the video showed."""

    ms: int
    claims: tuple[Claim, ...]
    cut: bool = False
    """The picture before it was another scene."""


def over_samples(samples: Sequence[Sample]) -> list[Sample]:
    """The same samples with confidences that the neighbours have had their say in. What is left of a lone doubtful claim is nothing."""
    return [
        replace(sample, claims=tuple(_with_neighbours(sample, [samples[at] for at in _neighbours(samples, index)])))
        for index, sample in enumerate(samples)
    ]


def _neighbours(samples: Sequence[Sample], index: int) -> Iterator[int]:
    """Of the same shot, near enough."""
    for step in (-1, 1):
        for distance in range(1, _REACH + 1):
            at = index + step * distance
            if not 0 <= at < len(samples) or abs(samples[at].ms - samples[index].ms) > _WITHIN_MS:
                break
            if samples[max(at, at - step)].cut:
                break
            yield at


def _with_neighbours(sample: Sample, neighbours: Sequence[Sample]) -> Iterator[Claim]:
    for claim in sample.claims:
        said = [_same(claim, other) for other in neighbours]
        again = [each for each in said if each is not None]
        if neighbours and not again and claim.confidence < _ALONE:
            continue
        odds = logit(claim.confidence / 100)
        for each in again:
            weight = _AGAIN if _moved(claim.box, each.box) else _STILL
            odds += weight * max(0.0, logit(each.confidence / 100) - logit(_NOTHING))
        odds -= _SILENT * (len(said) - len(again))
        sure = 100 * sigmoid(odds)
        if len(again) == len(said):
            sure = max(sure, claim.confidence)
        yield replace(claim, confidence=min(sure, max(_MOST, claim.confidence)))


def _same(claim: Claim, other: Sample) -> Claim | None:
    """What the other sample says of the same thing: the label at the nearest place."""
    named = [each for each in other.claims if each.label == claim.label and (each.box is None) == (claim.box is None)]
    if claim.box is None:
        return max(named, key=lambda each: each.confidence, default=None)
    near = [each for each in named if each.box is not None and _near(claim.box, each.box)]
    return max(near, key=lambda each: each.confidence, default=None)


def _near(a: Box, b: Box) -> bool:
    """Whether it can be one thing half a second later: the boxes touch, or are no further apart than they are large."""
    if float(iou(as_boxes([a]), as_boxes([b]))[0, 0]) > 0:
        return True
    across = abs(a.left + a.right - b.left - b.right) / 2
    down = abs(a.top + a.bottom - b.top - b.bottom) / 2
    return across < 1.5 * max(a.width, b.width) and down < 1.5 * max(a.height, b.height)


def _moved(a: Box | None, b: Box | None) -> bool:
    return a is not None and b is not None and differ(a, b)

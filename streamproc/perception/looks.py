"""Which parts of a picture a classifier is shown, and which labels each look may speak for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from streamproc.core.vision import Box
from streamproc.perception.claims import Claim
from streamproc.perception.taxonomy import Taxonomy

STILL_LOOKS = 12
"""Looks at a single picture: somebody waits for one answer."""
VIDEO_LOOKS = 3
"""Looks at a sample of a stored video: 58 ms of CPU beside 97 for the detectors (docs/accuracy.md)."""
_SURE = 40.0
"""Objects under this are not worth a look."""
_LEAST_PX = 40
_LEAST_BODY_PX = 90
"""Of a person only a coloured blob is left at fewer rows."""
_LEGS_SHOW = 1.3
"""Height by width of a body from which its lower half is more than a chest."""
_WORN = frozenset({"Apparel and Accessories", "Performing Arts", "Weapons and Military"})
"""What the halves of a person may show: dress, instruments, arms."""


class LookKind(StrEnum):
    FRAME = "frame"
    OBJECT = "object"
    UPPER = "upper"
    LOWER = "lower"

    @property
    def part(self) -> bool:
        """Of a person."""
        return self in (LookKind.UPPER, LookKind.LOWER)


@dataclass(frozen=True, slots=True)
class Look:
    """One crop for the classifier."""

    kind: LookKind
    box: Box
    """What is looked at, in 0..1."""
    of: Claim | None = None
    """The object."""

    def speaks_for(self, name: str, words: Taxonomy) -> bool:
        """Whether a label may be told from here: a whole frame may show anything, an object is of its own kind, a person wears."""
        categories = set(words.labels[name].categories)
        if self.of is None:
            return True
        if self.kind.part:
            return bool(categories & _WORN)
        own = words.labels[self.of.label]
        return name != own.name and name not in own.parents and bool(categories & set(own.categories))


def plan(claims: Sequence[Claim], width: int, height: int, most: int) -> list[Look]:
    """At most ``most`` looks at a picture of that many pixels: the whole first, then its objects, the largest first."""
    looks = [Look(LookKind.FRAME, Box(0.0, 0.0, 1.0, 1.0))]
    sure = [claim for claim in claims if claim.box is not None and claim.confidence >= _SURE]
    for claim in sorted(sure, key=lambda each: -(each.box.area if each.box else 0.0)):
        looks += _looks_at(claim, width, height)
    return looks[:most]


def _looks_at(claim: Claim, width: int, height: int) -> list[Look]:
    box = claim.box
    if box is None or claim.label == "Face":
        return []
    rows, columns = box.height * height, box.width * width
    if claim.label != "Person":
        return [Look(LookKind.OBJECT, box, claim)] if max(rows, columns) >= _LEAST_PX else []
    if rows < _LEAST_BODY_PX:
        return []
    upper = Box(box.left, box.top, box.right, box.top + 0.55 * box.height)
    lower = Box(box.left, box.top + 0.45 * box.height, box.right, box.bottom)
    looks = [Look(LookKind.UPPER, upper, claim)]
    return looks + ([Look(LookKind.LOWER, lower, claim)] if rows > _LEGS_SHOW * columns else [])

"""What is told of one picture, in the words of the taxonomy, before filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streamproc.core.vision import Box
from streamproc.perception.objects import SeenObject
from streamproc.perception.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Claim:
    """One label of one picture. Its broader labels follow from it."""

    label: str
    confidence: float
    """0..100."""
    box: Box | None = None
    """Where it is one thing with a place."""


def claims_of(seen: Iterable[SeenObject], words: Taxonomy) -> list[Claim]:
    """Objects as claims; those that are no label of ours are left out."""
    named = ((words.of_class(each.name), each) for each in seen)
    return [Claim(label.name, each.confidence, each.box) for label, each in named if label is not None]


def at_least(claims: Sequence[Claim], confidence: float) -> list[Claim]:
    """The claims that are sure enough."""
    return [claim for claim in claims if claim.confidence >= confidence]

"""Who is it? Decided per track, over several looks, and "unknown" rather than a guess. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from streamproc.core.faces import FaceVerdict
from streamproc.core.vision import FloatArray


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """What a decision asks for."""

    threshold: float = 80.0
    """Least similarity (0..100) of the averaged face with the person."""
    looks: int = 2
    """Fewest usable looks for a name."""
    good_looks: int = 1
    """Fewest looks that were good enough to decide on."""
    weight: float = 0.15
    """Least sum of the looks' weights for a name (1.0: one perfect look)."""
    margin: float = 0.7
    """How far the best person must be ahead of the next, in logits of the similarity (80 against 66, 95 against 90)."""
    votes: float = 0.5
    """Share of the looks that must each, alone, have had this person first."""
    crowd: float = 0.5
    """Added to the threshold, in logits, for each tenfold of faces beyond 50: among more people chance likeness is more."""
    unknown_looks: int = 3
    unknown_s: float = 1.0
    """Somebody who clearly resembles nobody is called unknown after so many looks and seconds..."""
    clear: float = 60.0
    """...clearly: the best similarity is under this."""
    doubt_looks: int = 8
    doubt_s: float = 3.0
    """...and one who resembles somebody, but not surely, after so many."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A person of the collection, as the decision sees them."""

    person: str
    similarity: float
    same_as_best: bool = False
    """Their stored faces are one human (often: one person enrolled under two names), so they do not compete."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on a track, with its evidence."""

    verdict: FaceVerdict
    person: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrackEvidence:
    """What the looks at one track add up to. All its fields are its state (``structure.to_document``)."""

    first_s: float
    total: FloatArray
    """Sum of the looks' vectors, each times its weight."""
    weight: float = 0.0
    looks: int = 0
    good_looks: int = 0
    """Looks that were good enough to decide on."""
    votes: dict[str, float] = field(default_factory=dict)
    """Weight of the looks that had this person first, since the collection last changed."""
    voted: float = 0.0
    """Weight of all looks since then."""
    eye_distance_px: float = 0.0

    @classmethod
    def start(cls, at_s: float, dimensions: int) -> TrackEvidence:
        return cls(at_s, np.zeros(dimensions, np.float32))

    def add(self, vector: FloatArray, weight: float, person: str | None, *, good: bool, eye_distance_px: float) -> None:
        """Take in one look: its unit vector, how much it counts, and whom it alone resembles most."""
        self.total = self.total + weight * vector
        self.weight += weight
        self.looks += 1
        self.good_looks += good
        self.eye_distance_px = max(self.eye_distance_px, eye_distance_px)
        self.voted += weight
        if person is not None:
            self.votes[person] = self.votes.get(person, 0.0) + weight

    def forget_votes(self) -> None:
        """The collection changed: whom earlier looks resembled says nothing about who is in it now."""
        self.votes, self.voted = {}, 0.0

    @property
    def mean(self) -> FloatArray:
        """(D,) unit vector of the track."""
        return self.total / max(float(np.linalg.norm(self.total)), 1e-12)


def decide(seen: TrackEvidence, rivals: Sequence[Rival], faces: int, now_s: float, policy: DecisionPolicy) -> Decision:
    """The verdict on a track whose averaged face resembles ``rivals`` (most similar first) of a collection of ``faces``."""
    best = rivals[0] if rivals else None
    second = next((rival for rival in rivals[1:] if not rival.same_as_best), None)
    evidence: dict[str, Any] = {
        "looks": seen.looks,
        "eye_distance_px": round(seen.eye_distance_px, 1),
        "similarity": round(best.similarity, 2) if best else 0.0,
        "runner_up": round(second.similarity, 2) if second else 0.0,
    }
    if best is not None and _sure(seen, best, second, _needed(faces, policy), policy, rivals):
        return Decision(FaceVerdict.MATCHED, best.person, evidence)
    lasted = now_s - seen.first_s
    clear = best is None or best.similarity < policy.clear
    looks, seconds = (policy.unknown_looks, policy.unknown_s) if clear else (policy.doubt_looks, policy.doubt_s)
    if seen.good_looks >= looks and lasted >= seconds:
        return Decision(FaceVerdict.UNKNOWN, None, evidence)
    return Decision(FaceVerdict.PENDING, None, evidence)


def _sure(
    seen: TrackEvidence,
    best: Rival,
    second: Rival | None,
    needed: float,
    policy: DecisionPolicy,
    rivals: Sequence[Rival],
) -> bool:
    enough = seen.looks >= policy.looks and seen.good_looks >= policy.good_looks and seen.weight >= policy.weight
    if not enough or logit(best.similarity) < needed:
        return False
    if second is not None and logit(best.similarity) - logit(second.similarity) < policy.margin:
        return False
    one_human = {best.person} | {rival.person for rival in rivals[1:] if rival.same_as_best}
    return sum(seen.votes.get(person, 0.0) for person in one_human) >= policy.votes * seen.voted


def _needed(faces: int, policy: DecisionPolicy) -> float:
    return logit(policy.threshold) + policy.crowd * max(0.0, math.log10(max(faces, 1) / _FAMILY))


_FAMILY: Final = 50


def logit(similarity: float) -> float:
    """Of 0..100, cut off so that the ends stay finite."""
    share = min(max(similarity, 0.01), 99.99) / 100
    return math.log(share / (1 - share))

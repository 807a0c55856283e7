"""From model scores to belief: the evidence of one analysed frame for an object's class, and of many together.

One look: every model's score is a vote in log-odds, zero at the score at which that model is right as often as wrong. Classes compete: the
evidence for one class is its log-odds against "nothing" and all the others (a multinomial model). Many looks: a CUSUM per class (Page 1954),
which forgets bad looks from before the object was near enough and needs as many good ones as they are weak.

What a model's score means for a class stands in the table of classes (``core.classes``).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from streamproc.core.classes import OBJECT_GROUPS, Group, Vote
from streamproc.core.vision import Box

Scores = Mapping[Group, Mapping[str, float]]
"""Best score in 0..1 by group and model."""

_FLOOR = 0.02
"""A model that saw nothing is taken to have seen this much."""


def logit(probability: float) -> float:
    """Log-odds, limited to those of 0.02 and 0.98."""
    limited = min(1 - _FLOOR, max(_FLOOR, probability))
    return math.log(limited / (1 - limited))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))


_ANY = Vote(1.0, 0.35)
Votes = Mapping[Group, Mapping[str, Vote]]
FRAME_VOTES: Votes = {group: group.traits.frame_votes for group in OBJECT_GROUPS}
"""Whole frames."""
CROP_VOTES: Votes = {group: group.traits.crop_votes for group in OBJECT_GROUPS}
"""Tight crops of what moves."""

_SUREST = 0.5
"""Part of the surest model; the rest is the weighted mean. Models miss far more often than they invent."""
_SCALE = 1.3
_LIMIT = 2.5
"""No model alone says more than this."""


def family(model: str) -> str:
    """yolox, deimv2, ssd ... by the model's name."""
    return model.partition("_")[0]


def log_odds(scores: Scores, models: Mapping[str, frozenset[Group]], votes: Votes) -> dict[Group, float]:
    """Log-odds of each group against nothing, from the scores of one look.

    ``models``: all that looked, also those that saw nothing, each with the groups that it knows.
    """
    odds: dict[Group, float] = {}
    for group in OBJECT_GROUPS:
        known = votes.get(group, {})
        said: list[tuple[float, float]] = []
        for model, knows in models.items():
            if group in knows:
                vote = known.get(family(model), _ANY)
                score = scores.get(group, {}).get(model, 0.0)
                value = vote.slope * (logit(score) - logit(vote.neutral))
                said.append((min(_LIMIT, max(-_LIMIT, value)), vote.weight))
        if not said:
            odds[group] = -_LIMIT
            continue
        mean = sum(value * weight for value, weight in said) / sum(weight for _, weight in said)
        odds[group] = _SCALE * (_SUREST * max(value for value, _ in said) + (1 - _SUREST) * mean)
    return odds


def against_the_rest(odds: Mapping[Group, float]) -> dict[Group, float]:
    """Log-odds of each group against nothing and all other groups together."""
    weights = {group: math.exp(value) for group, value in odds.items()}
    everything = 1.0 + sum(weights.values())
    return {group: value - math.log(everything - weights[group]) for group, value in odds.items()}


@dataclass(frozen=True, slots=True)
class BeliefPolicy:
    """How looks add up."""

    samples: int = 2
    """Fewest looks that spoke for the class."""
    window_s: float = 3.0
    """Only looks of the last so many seconds count as samples."""
    prior: float = -1.5
    """Log-odds before the first look: most things that are not there are not there."""
    most: float = 7.0
    """Evidence never exceeds this, so that a track can still change its mind."""
    step: tuple[float, float] = (-2.0, 3.0)
    """One look changes the evidence by no less and no more."""
    moving: float = 0.6
    """Weight of a further look at something that moves (looks resemble each other)."""
    panning: float = 0.3
    """The same while the camera itself moves: the object may well stand still."""
    apart_s: float = 0.2
    """Looks that follow sooner weigh less, in proportion: they resemble each other more."""
    still: float = 0.5
    """Factor by which each further look at something that does not move weighs less: the same picture tells nothing new."""
    lasting: float = 0.3
    """Weight of a bad look once the class is settled."""


@dataclass
class Belief:
    """What is believed of one track. Pure; all its fields are its state (``structure.to_document``)."""

    policy: BeliefPolicy
    label: Group | None = None
    """The settled class, if any."""
    looks: int = 0
    """All looks taken in."""
    _sums: dict[Group, float] = field(default_factory=dict)
    _times: dict[Group, deque[float]] = field(default_factory=dict)
    _still: int = 0
    _last: Box | None = None
    _last_s: float = 0.0

    def add(self, evidence: Mapping[Group, float], at_s: float, box: Box, *, moves: bool, camera: bool = False) -> None:
        """Take in one look: log-odds of each group against the rest.

        ``moves``: something moved where the box is. ``camera``: the camera did.
        """
        weight = self._weight(at_s, box, moves, camera)
        self.looks += 1
        low, high = self.policy.step
        for group, value in evidence.items():
            step = weight * min(high, max(low, value))
            if step < 0 and group is self.label:
                step *= self.policy.lasting
            self._sums[group] = min(self.policy.most, max(0.0, self._sums.get(group, 0.0) + step))
            if value > 0:
                self._times.setdefault(group, deque(maxlen=64)).append(at_s)
        self._settle(at_s)

    def settle_alone(self, at_s: float) -> None:
        """No other look will come (a photograph): the class is settled by what was seen."""
        self.policy = replace(self.policy, samples=1)
        self._settle(at_s)

    def samples(self, group: Group, at_s: float) -> int:
        """Looks of the window that spoke for ``group``."""
        return sum(at_s - time <= self.policy.window_s for time in self._times.get(group, ()))

    def confidence(self, group: Group) -> float:
        """0..100: how probable it is that the track is a ``group``."""
        mine = self._sums.get(group, 0.0)
        rival = max((value for other, value in self._sums.items() if other is not group), default=0.0)
        return 100.0 * sigmoid(self.policy.prior + mine - 0.5 * min(rival, mine))

    @property
    def best(self) -> Group | None:
        """The group that the evidence speaks for most; None: for none."""
        if not self._sums:
            return None
        group = max(self._sums, key=lambda each: (self._sums[each], each))
        return group if self._sums[group] > 0 else None

    def _weight(self, at_s: float, box: Box, moves: bool, camera: bool) -> float:
        (previous, self._last), (before_s, self._last_s) = (self._last, box), (self._last_s, at_s)
        if previous is None:
            return 1.0
        if moves or differ(previous, box):
            self._still = 0
            weight = self.policy.panning if camera else self.policy.moving
            return weight * min(1.0, max(0.1, (at_s - before_s) / self.policy.apart_s))
        self._still += 1
        return float(self.policy.still**self._still)

    def _settle(self, at_s: float) -> None:
        best = self.best
        if best is None:
            return
        if self.label is None or (best is not self.label and self._sums[best] > self._sums.get(self.label, 0.0) + 1.0):
            enough = self.samples(best, at_s) >= self.policy.samples
            self.label = best if enough and self._sums[best] + self.policy.prior > 0 else self.label


def differ(a: Box, b: Box) -> bool:
    """Whether the box went on by more than a detector's own trembling."""
    size = max(1e-6, min(a.width, a.height, b.width, b.height))
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) > 0.15 * size

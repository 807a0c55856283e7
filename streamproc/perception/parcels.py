"""Packages. No detector for parcels is freely to be had, so anything box-like is proposed and an image classifier verifies it.

A parcel is put down and lies there, so it is looked for where the picture changed, once and on a budget: proposals are made when the scene is new
or has changed and settled, the likeliest are verified first, what was turned down is not asked again until something changes there, and what was
found is asked again after a while and before it is believed. What somebody carries is looked for on the person (``carried``).

Measured on 26 doorstep photographs: proposals cover all, four crops of the classifier find .88 of them at one false box on 50 other photographs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streamproc.contracts import Classifier, Detector
from streamproc.core.classes import Group
from streamproc.core.media import Moment, Picture
from streamproc.core.observation import TrackView
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import as_boxes, covered, iou
from streamproc.logic.evidence import Belief, BeliefPolicy, family, logit
from streamproc.logic.motion import MotionPolicy, blobs_of, changed, soften
from streamproc.perception.beside import ALONE, Beside
from streamproc.perception.carried import CarriedSearch, CarriedState
from streamproc.perception.parcel_share import ParcelShare, around, tightly
from streamproc.perception.proposals import Proposals, in_picture


@dataclass(frozen=True, slots=True)
class ParcelPolicy:
    """How much is spent and how sure one must be."""

    crops: int = 10
    """Most runs of the classifier a look."""
    ask: int = 12
    """Most proposals verified each time they are made..."""
    deep: int = 60
    """...but one time after the other until so many of a scene have been: what was there before anybody looked changes nothing."""
    propose_s: float = 0.6
    """Least time between two makings of proposals."""
    again_s: float = 0.35
    """A hopeful box is verified again after so long."""
    keep_s: float = 5.0
    """A box that was believed is verified again after so long."""
    refresh_s: float = 10.0
    """Proposals are made at least so often while frames are looked at."""
    first: float = 0.04
    """A first crop below this share of the family ends the verification."""
    neutral: float = 0.26
    """Share of the family (mean log-odds of four crops) that is right half of the time."""
    slope: float = 1.5
    hint: tuple[tuple[float, float], ...] = ((0.35, 1.5), (0.2, 1.0))
    """Log-odds added where a detector with a class for boxes has at least that score."""
    carried: float = 1.5
    """Log-odds taken off inside a person's box: clothes and bags look like parcels."""
    high: float = 1.0
    """Log-odds taken off for a box that hangs in the upper fifth of the picture."""
    least_px: float = 24.0
    most_area: float = 0.6
    misses: int = 2
    """A box that was believed is given up after so many clear refusals in a row."""
    tries: int = 2
    """A box that was not believed after so many verifications beyond the samples asked for is turned down."""


@dataclass
class _Spot:
    """One box that may be a parcel."""

    id: int
    box: Box
    belief: Belief
    since: Moment
    checked_s: float
    hint: float
    tries: int = 0
    misses: int = 0
    """Verifications in a row that spoke clearly against it."""
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class TurnedDown:
    """A box that is no parcel."""

    box: Box
    share: float
    """The classifier's, 0..1."""
    needed: float
    """The share that is right half of the time."""


@dataclass
class ParcelState:
    """Everything that changes; a state document can hold it (``structure.to_document``)."""

    spots: list[_Spot] = field(default_factory=list)
    refused: list[Box] = field(default_factory=list)
    queue: list[tuple[Box, float]] = field(default_factory=list)
    scene: npt.NDArray[np.int16] | None = None
    proposed_s: float = float("-inf")
    left: bool = False
    """Proposals of this scene are not verified yet..."""
    opening: bool = False
    """...and nothing has changed since the first picture."""
    next_id: int = 0
    carried: CarriedState = field(default_factory=CarriedState)


_BY_CLASSIFIER = {"efficientnet": ParcelPolicy(first=0.03, neutral=0.19)}
"""EfficientNet-Lite0 spreads its probability over more classes than MobileNetV2, which the default is for (``benchmarks.verifiers``)."""


class ParcelSearch:
    """Looks for parcels in one feed."""

    def __init__(
        self,
        proposers: Sequence[Detector],
        classifier: Classifier,
        belief: BeliefPolicy,
        policy: ParcelPolicy | None = None,
        beside: Beside = ALONE,
    ) -> None:
        self.proposers = tuple(proposers)
        self.policy = policy or _BY_CLASSIFIER.get(family(classifier.name), ParcelPolicy())
        self._belief, self._share = belief, ParcelShare(classifier, beside)
        self._carried = CarriedSearch(self.proposers[0], self._share, belief)
        self.turned_down: list[TurnedDown] = []
        """By the last look."""
        self.state = ParcelState()

    def pace(self, belief: BeliefPolicy) -> None:
        """Frames come at another rate from now on: other patience with what was seen."""
        self._belief = belief
        self._carried.pace(belief)
        for spot in self.state.spots:
            spot.belief.policy = belief

    def use(self, proposers: Sequence[Detector]) -> None:
        """Other detectors from now on."""
        self.proposers = tuple(proposers)
        self._carried.detector = self.proposers[0]

    def reset(self) -> None:
        """After a gap."""
        self.state = ParcelState(next_id=self.state.next_id)

    @property
    def busy(self) -> bool:
        """Something waits for its verification, so the next frame should be looked at even if nothing moves."""
        return (
            bool(self.state.queue) or self.state.opening or any(spot.belief.label is None for spot in self.state.spots)
        )

    def look(
        self,
        picture: Picture,
        at: Moment,
        grey: npt.NDArray[np.uint8],
        known: Mapping[str, Detections],
        people: Sequence[TrackView],
        runs: Counter[str],
        *,
        hands: bool = True,
    ) -> list[TrackView]:
        """Take in one frame. ``known``: detections of this frame that were made already, by model. ``people``: tracks of people in view.
        ``hands``: whether their hands may be searched."""
        lying = self._lying(picture, at, grey, known, [view.box for view in people], runs)
        state = self.state
        held = self._carried.look(state.carried, picture, at, people, runs, state.next_id, search=hands)
        state.next_id = max([state.next_id, *(view.id // 2 + 1 for view in held)])
        return lying + held

    def _lying(
        self,
        picture: Picture,
        at: Moment,
        grey: npt.NDArray[np.uint8],
        known: Mapping[str, Detections],
        people: Sequence[Box],
        runs: Counter[str],
    ) -> list[TrackView]:
        at_s = at.seconds
        self.turned_down = []
        thumb = soften(grey)
        self._propose(picture, at_s, thumb, known, runs)
        budget = self.policy.crops
        for spot in self.state.spots:
            settled = spot.belief.label is not None and spot.misses == 0
            soon = min(self.policy.again_s, self._belief.window_s / (self._belief.samples + 1))
            patience = self.policy.keep_s if settled else soon
            hidden = _inside(spot.box, people) > 0.3 and spot.belief.label is not None
            if budget > 0 and at_s - spot.checked_s >= patience and not hidden:
                budget -= self._verify(spot, picture, at_s, people, runs)
        while budget > 0 and self.state.queue:
            box, hint = self.state.queue.pop(0)
            spot = _Spot(self.state.next_id, box, Belief(self._belief), at, at_s, hint)
            budget -= self._verify(spot, picture, at_s, people, runs)
            if spot.belief.best is Group.PACKAGE:
                self.state.next_id += 1
                self.state.spots.append(spot)
            else:
                self._refuse(spot)
        self._drop(at_s)
        return [self._view(spot, at_s) for spot in self.state.spots if spot.belief.best is Group.PACKAGE]

    def _propose(
        self,
        picture: Picture,
        at_s: float,
        thumb: npt.NDArray[np.int16],
        known: Mapping[str, Detections],
        runs: Counter[str],
    ) -> None:
        state = self.state
        if at_s - state.proposed_s < self.policy.propose_s:
            return
        new, changes = state.scene is None or state.scene.shape != thumb.shape, self._changes(thumb)
        if not (new or changes or state.left or at_s - state.proposed_s >= self.policy.refresh_s):
            return
        state.scene, state.proposed_s = thumb, at_s
        found = self.proposed(picture, known, runs)
        taken = as_boxes([*state.refused, *(spot.box for spot in state.spots)])
        rows = np.flatnonzero(iou(found.boxes, taken).max(1, initial=0.0) <= 0.6).tolist()
        state.queue = [(found.box(row), float(found.hints[row])) for row in rows[: self.policy.ask]]
        # Boxes tremble, so there is always something that nobody has asked about: a scene that stays as it is is gone through once.
        state.left = (new or changes or state.left) and any(row < self.policy.deep for row in rows[self.policy.ask :])
        state.opening = (new or state.opening) and not changes and state.left

    def _changes(self, thumb: npt.NDArray[np.int16]) -> bool:
        """Whether the picture differs from that of the last proposals. What was turned down or found where it does is asked about again."""
        state = self.state
        if state.scene is None or state.scene.shape != thumb.shape:
            return False
        areas = as_boxes([part.box for part in blobs_of(changed(thumb, state.scene, MotionPolicy()), MotionPolicy())])
        if not len(areas):
            return False
        state.refused = [box for box in state.refused if _most_covered(box, areas) < 0.2]
        for spot in state.spots:
            if _most_covered(spot.box, areas) >= 0.2:
                spot.checked_s = float("-inf")
        return True

    def proposed(self, picture: Picture, known: Mapping[str, Detections], runs: Counter[str]) -> Proposals:
        """Where a package could lie, likeliest first."""
        policy = self.policy
        return in_picture(self.proposers, picture, known, runs, least_px=policy.least_px, most_area=policy.most_area)

    def _verify(self, spot: _Spot, picture: Picture, at_s: float, people: Sequence[Box], runs: Counter[str]) -> int:
        """Ask the classifier about one box; returns how many crops that took."""
        # The same crops of something that lies there would only say the same again.
        share, crops = self.share(picture, spot.box, closely=spot.tries % 2 == 1)
        runs[self._share.name] += crops
        value = self.policy.slope * (logit(share) - logit(self.policy.neutral))
        value += next((bonus for least, bonus in self.policy.hint if spot.hint >= least), 0.0)
        if _inside(spot.box, people) > 0.7:
            value -= self.policy.carried
        if spot.box.bottom < 0.2:
            value -= self.policy.high
        spot.belief.add({Group.PACKAGE: value}, at_s, spot.box, moves=False)
        spot.misses = spot.misses + 1 if value < -1 else 0
        spot.checked_s, spot.tries, spot.share = at_s, spot.tries + 1, max(spot.share, share)
        return crops

    def share(self, picture: Picture, box: Box, *, closely: bool = False) -> tuple[float, int]:
        """How much the classifier takes it for a package, and how many crops it was shown. ``closely``: without what is about it."""
        if closely:
            return self._share.of(picture, tightly(box), 0.0)
        return self._share.of(picture, around(box, picture.width / picture.height), self.policy.first)

    def _drop(self, at_s: float) -> None:
        state = self.state
        keep = []
        for spot in state.spots:
            lost = spot.belief.best is None or spot.misses >= self.policy.misses
            hopeless = spot.belief.label is None and spot.tries >= self.policy.tries + self._belief.samples
            if lost or hopeless:
                self._refuse(spot)
            else:
                keep.append(spot)
        state.spots = keep

    def _refuse(self, spot: _Spot) -> None:
        """Turn a box down: it is not asked about again until something changes there."""
        self.state.refused.append(spot.box)
        self.turned_down.append(TurnedDown(spot.box, spot.share, self.policy.neutral))

    def _view(self, spot: _Spot, at_s: float) -> TrackView:
        return TrackView(
            id=spot.id * 2,
            label=Group.PACKAGE.value,
            confidence=spot.belief.confidence(Group.PACKAGE),
            box=spot.box,
            confirmed=spot.belief.label is Group.PACKAGE,
            # What may have been taken away a moment ago is not announced: somebody is in front of it, or the last look saw it no more.
            supported=spot.misses == 0 and spot.checked_s > float("-inf"),
            since=spot.since,
            evidence={
                "looks": spot.belief.looks,
                "samples": spot.belief.samples(Group.PACKAGE, at_s),
                "scores": {
                    Group.PACKAGE.value: {self._share.name: round(spot.share, 3), "detector": round(spot.hint, 3)}
                },
            },
        )


def _most_covered(box: Box, areas: npt.NDArray[np.float32]) -> float:
    """The largest share of a box that one of the areas covers."""
    return float(covered(as_boxes([box]), areas).max())


def _inside(box: Box, others: Sequence[Box]) -> float:
    return _most_covered(box, as_boxes(others)) if others else 0.0

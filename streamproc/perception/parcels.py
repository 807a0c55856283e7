"""Packages. No detector for parcels is freely to be had, so anything box-like is proposed and an image classifier verifies it.

A parcel is put down and lies there, so it is looked for where the picture changed, once and on a budget: proposals are made when the scene is new
or has changed and settled, the likeliest are verified first, what was turned down is not asked again until something changes there, and what was
found is asked again after a while and before it is believed.

Measured on 26 doorstep photographs: proposals cover all, four crops of the classifier find .88 of them at one false box on 50 other photographs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from streamproc.contracts import Classifier, Detector
from streamproc.core.classes import Group, imagenet_indexes
from streamproc.core.media import Moment, Picture
from streamproc.core.observation import TrackView
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import as_boxes, covered, expand, iou, nms
from streamproc.logic.evidence import Belief, BeliefPolicy, family, logit
from streamproc.logic.motion import MotionPolicy, blobs_of, changed, soften
from streamproc.perception.beside import ALONE, Beside
from streamproc.perception.detect import common_name

_LIKELY = {
    "box": 3.0,
    "suitcase": 3.0,
    "book": 1.5,
    "handbag": 1.5,
    "backpack": 1.5,
    "cake": 1.5,
    "laptop": 1.5,
    "tv": 1.5,
}
"""What detectors call parcels; their boxes are verified first."""
_UNLIKELY = {"person": 0.5, "cat": 0.3, "dog": 0.3, "car": 0.5, "truck": 0.5, "bus": 0.5}
_LEAST = {"ssd": 0.1, "deimv2": 0.1, "nanodet": 0.1, "mobile": 0.15}
"""Scores from which a proposal counts, by model family."""


@dataclass(frozen=True, slots=True)
class ParcelPolicy:
    """How much is spent and how sure one must be."""

    crops: int = 10
    """Most runs of the classifier a look."""
    ask: int = 12
    """Most proposals verified each time they are made."""
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
    next_id: int = 0


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
        self.classifier, self._beside = classifier, beside
        self.policy = policy or _BY_CLASSIFIER.get(family(classifier.name), ParcelPolicy())
        self._belief = belief
        self._family = imagenet_indexes(classifier.names, Group.PACKAGE.traits.imagenet)
        self.turned_down: list[TurnedDown] = []
        """By the last look."""
        self.state = ParcelState()

    def pace(self, belief: BeliefPolicy) -> None:
        """Frames come at another rate from now on: other patience with what was seen."""
        self._belief = belief
        for spot in self.state.spots:
            spot.belief.policy = belief

    def reset(self) -> None:
        """After a gap."""
        self.state = ParcelState(next_id=self.state.next_id)

    @property
    def busy(self) -> bool:
        """Something waits for its verification, so the next frame should be looked at even if nothing moves."""
        return bool(self.state.queue) or any(spot.belief.label is None for spot in self.state.spots)

    def look(
        self,
        picture: Picture,
        at: Moment,
        grey: npt.NDArray[np.uint8],
        known: Mapping[str, Detections],
        people: Sequence[Box],
        runs: Counter[str],
    ) -> list[TrackView]:
        """Take in one frame. ``known``: detections of this frame that were made already, by model; ``people``: where people are."""
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
        fresh = state.scene is None or state.scene.shape != thumb.shape
        if not fresh:
            assert state.scene is not None
            parts = blobs_of(changed(thumb, state.scene, MotionPolicy()), MotionPolicy())
            if not parts and at_s - state.proposed_s < self.policy.refresh_s:
                return
            areas = as_boxes([part.box for part in parts])
            if len(areas):
                state.refused = [box for box in state.refused if _share(box, areas) < 0.2]
                for spot in state.spots:
                    if _share(spot.box, areas) >= 0.2:
                        spot.checked_s = float("-inf")
        state.scene, state.proposed_s = thumb, at_s
        boxes, ranks, hints = self._proposals(picture, known, runs)
        taken = as_boxes([*state.refused, *(spot.box for spot in state.spots)])
        order = np.argsort(-ranks, kind="stable")
        state.queue = []
        for row in order.tolist():
            box = Box(*boxes[row].tolist()).clipped()
            if len(taken) and iou(as_boxes([box]), taken).max() > 0.6:
                continue
            state.queue.append((box, float(hints[row])))
            if len(state.queue) == self.policy.ask:
                break

    def _proposals(
        self, picture: Picture, known: Mapping[str, Detections], runs: Counter[str]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Boxes (N, 4), how likely each is a parcel (N,), and the score of a detector's own class for boxes there (N,)."""
        boxes: list[Box] = []
        ranks: list[float] = []
        hints: list[float] = []
        for detector in self.proposers:
            least = _LEAST.get(detector.name.partition("_")[0], 0.1)
            found = known.get(detector.name)
            if found is None:
                found = detector.detect(picture.bgr(640, 640), least)
                runs[detector.name] += 1
            has_boxes = any(common_name(name) == "box" for name in detector.names)
            for row in range(len(found)):
                name, score = common_name(found.name(row)), float(found.scores[row])
                if score < least or (has_boxes and name != "box"):
                    continue
                boxes.append(found.box(row))
                ranks.append(score * _LIKELY.get(name, _UNLIKELY.get(name, 1.0)))
                hints.append(score if name == "box" else 0.0)
        every, worth, hint = as_boxes(boxes), np.array(ranks, np.float32), np.array(hints, np.float32)
        if not len(every):
            return every, worth, hint
        wide = (every[:, 2] - every[:, 0]) * picture.width
        high = (every[:, 3] - every[:, 1]) * picture.height
        fit = np.minimum(wide, high) >= self.policy.least_px
        fit &= wide * high <= self.policy.most_area * picture.width * picture.height
        every, worth, hint = every[fit], worth[fit], hint[fit]
        if not len(every):
            return every, worth, hint
        support = np.where(iou(every, every) > 0.5, hint[None, :], 0.0).max(1).astype(np.float32)
        keep = nms(every, worth, 0.6)
        return every[keep], worth[keep], support[keep]

    def _verify(self, spot: _Spot, picture: Picture, at_s: float, people: Sequence[Box], runs: Counter[str]) -> int:
        """Ask the classifier about one box; returns how many crops that took."""
        share, crops = self._share(picture, spot.box)
        runs[self.classifier.name] += crops
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

    def _share(self, picture: Picture, box: Box) -> tuple[float, int]:
        """The family's probability, the mean in log-odds of four crops, and how many crops were asked."""
        first, *others = _windows(box, picture.width / picture.height)
        share_of = partial(_share_in, self.classifier, self._family, picture)
        shares = [share_of(first)]
        if shares[0] >= self.policy.first:
            shares += self._beside.map(share_of, others)
        said = [logit(share) for share in shares]
        return 1 / (1 + float(np.exp(-sum(said) / len(said)))), len(said)

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
        """It is not asked about again until something changes there."""
        self.state.refused.append(spot.box)
        self.turned_down.append(TurnedDown(spot.box, spot.share, self.policy.neutral))

    def _view(self, spot: _Spot, at_s: float) -> TrackView:
        return TrackView(
            id=spot.id * 2,
            label=Group.PACKAGE.value,
            confidence=spot.belief.confidence(Group.PACKAGE),
            box=spot.box,
            confirmed=spot.belief.label is Group.PACKAGE,
            supported=True,
            since=spot.since,
            evidence={
                "looks": spot.belief.looks,
                "samples": spot.belief.samples(Group.PACKAGE, at_s),
                "scores": {
                    Group.PACKAGE.value: {self.classifier.name: round(spot.share, 3), "detector": round(spot.hint, 3)}
                },
            },
        )


def _share(box: Box, areas: npt.NDArray[np.float32]) -> float:
    """The largest share of a box that one of the areas covers."""
    return float(covered(as_boxes([box]), areas).max())


def _inside(box: Box, others: Sequence[Box]) -> float:
    return _share(box, as_boxes(others)) if others else 0.0


def _share_in(classifier: Classifier, family: Sequence[int], picture: Picture, window: Box) -> float:
    return float(classifier.classify(picture.crop(window))[family].sum())


def _windows(box: Box, aspect: float) -> tuple[Box, ...]:
    """The four crops in which the classifier looks at a box, the one that decides whether to go on first."""
    return (*(_square(box, factor, aspect) for factor in (1.15, 1.0, 1.3)), expand(box, 1.1))


def _square(box: Box, factor: float, aspect: float) -> Box:
    """A square in pixels about the box, pushed inside the frame. ``aspect``: the frame's width over height."""
    side = min(max(box.width * aspect, box.height) * factor, 1.0, aspect)
    width, height = side / aspect, side
    left = min(max((box.left + box.right - width) / 2, 0.0), 1.0 - width)
    top = min(max((box.top + box.bottom - height) / 2, 0.0), 1.0 - height)
    return Box(left, top, left + width, top + height)

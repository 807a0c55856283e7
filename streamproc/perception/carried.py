"""Packages in somebody's hands.

Carrier and package both move, so a package is looked for about each person's middle, up close, and kept in the person's own coordinates: there its
evidence adds up from look to look wherever the two go. Whoever carries nothing is looked at less and less often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from streamproc.contracts import Detector
from streamproc.core.classes import Group
from streamproc.core.media import Moment, Picture
from streamproc.core.observation import TrackView
from streamproc.core.vision import Box
from streamproc.logic.boxes import as_boxes, covered, iou, mapped, unmapped
from streamproc.logic.evidence import Belief, BeliefPolicy, family, logit
from streamproc.perception.parcel_share import ParcelShare, tightly
from streamproc.perception.proposals import in_crop


@dataclass(frozen=True, slots=True)
class CarriedPolicy:
    """How much is spent and how sure one must be."""

    every_s: float = 0.4
    """Least time between two searches, of whomever."""
    eager: int = 3
    """After so many searches in a row that found nothing at somebody..."""
    slower: float = 2.0
    """...each further one waits so many times as long as the one before..."""
    seldom_s: float = 5.0
    """...up to this. So often, too, what is believed is looked for again."""
    ask: int = 3
    """Most proposals verified a search."""
    first: float = 0.06
    """A first crop below this share of the family ends the verification."""
    neutral: float = 0.22
    """Share of the family (mean log-odds of three crops) that is right half of the time."""
    slope: float = 1.5
    samples: int = 3
    """Fewest searches that must speak for it, whatever the settings ask for: clothes come in many cuts."""
    tall_px: float = 120.0
    """Of smaller people hands show too little."""
    least_px: float = 24.0
    most_area: float = 0.5
    """Of the window that is searched."""
    on_person: float = 0.5
    """Share of a box that must lie on the person's: what does not is somebody else's, or stands there."""
    same: float = 0.4
    """IoU in the person's coordinates from which two searches have found one thing."""
    misses: int = 2
    """It is given up after so many searches in a row that did not find it."""


@dataclass
class _Held:
    """One box on a person that may be a package."""

    id: int
    place: Box
    """In 0..1 of the person's box."""
    belief: Belief
    since: Moment
    share: float = 0.0
    misses: int = 0


@dataclass
class _Carrier:
    """One person's track."""

    searched_s: float = float("-inf")
    barren: int = 0
    """Searches in a row that found nothing."""
    held: list[_Held] = field(default_factory=list)


@dataclass
class CarriedState:
    """Everything that changes."""

    carriers: dict[int, _Carrier] = field(default_factory=dict)
    """By track."""
    searched_s: float = float("-inf")


_BY_CLASSIFIER = {"efficientnet": CarriedPolicy(first=0.03, neutral=0.12)}
"""See ``parcels``."""


class CarriedSearch:
    """Looks for packages on people. The state is given with each call: it is kept with that of what lies."""

    def __init__(
        self, detector: Detector, share: ParcelShare, belief: BeliefPolicy, policy: CarriedPolicy | None = None
    ) -> None:
        self.detector = detector
        self.policy = policy or _BY_CLASSIFIER.get(family(share.name), CarriedPolicy())
        self._share = share
        self.pace(belief)

    def pace(self, belief: BeliefPolicy) -> None:
        """Other patience with what was seen, from now on."""
        samples = max(belief.samples, self.policy.samples)
        window_s = max(belief.window_s, (samples + 1) * self.policy.every_s)
        self._belief = replace(belief, samples=samples, window_s=window_s)

    def look(
        self,
        state: CarriedState,
        picture: Picture,
        at: Moment,
        people: Sequence[TrackView],
        runs: Counter[str],
        next_id: int,
        *,
        search: bool = True,
    ) -> list[TrackView]:
        """Take in one frame. ``people``: all tracks of people in view. ``next_id``: of the first package that is new. ``search``: False
        where nothing may be spent; what was found stays."""
        alive = {view.id: state.carriers.get(view.id) or _Carrier() for view in people}
        state.carriers = alive
        due = [view for view in people if self._due(state, alive[view.id], view, picture, at.seconds)]
        if due and search:
            person = min(due, key=lambda view: (alive[view.id].searched_s, view.id))
            state.searched_s = at.seconds
            self._search(alive[person.id], person.box.clipped(), picture, at, runs, next_id)
        return [
            self._view(held, view, at.seconds)
            for view in people
            for held in alive[view.id].held
            if held.belief.best is Group.PACKAGE
        ]

    def _due(self, state: CarriedState, carrier: _Carrier, view: TrackView, picture: Picture, at_s: float) -> bool:
        policy = self.policy
        if not (view.confirmed and view.supported) or view.box.height * picture.height < policy.tall_px:
            return False
        if at_s - state.searched_s < policy.every_s:
            return False
        if any(held.belief.label is None for held in carrier.held):
            return True
        settled = bool(carrier.held) and not carrier.held[0].misses
        wait = policy.every_s * policy.slower ** max(0, carrier.barren - policy.eager)
        return at_s - carrier.searched_s >= (policy.seldom_s if settled else min(wait, policy.seldom_s))

    def _search(
        self, carrier: _Carrier, person: Box, picture: Picture, at: Moment, runs: Counter[str], next_id: int
    ) -> None:
        """Look at one person; what is found joins what was found there before."""
        carrier.searched_s = at.seconds
        for held in carrier.held:
            held.misses += 1
        for box in self._proposed(carrier, person, picture, runs):
            share, crops = self._share.of(picture, tightly(box), self.policy.first)
            runs[self._share.name] += crops
            value = self.policy.slope * (logit(share) - logit(self.policy.neutral))
            place = Box(*unmapped(as_boxes([box]), person)[0].tolist())
            mine = next(
                (held for held in carrier.held if held.misses and _iou(held.place, place) >= self.policy.same), None
            )
            if mine is None:
                if value <= 0:
                    continue
                mine = _Held(next_id, place, Belief(self._belief), at)
                next_id += 1
                carrier.held.append(mine)
            mine.belief.add({Group.PACKAGE: value}, at.seconds, place, moves=True)
            mine.share = max(mine.share, share)
            if value > 0:
                mine.place, mine.misses = place, 0
        carrier.held = [each for each in carrier.held if each.belief.best and each.misses < self.policy.misses]
        carrier.barren = 0 if carrier.held else carrier.barren + 1

    def _proposed(self, carrier: _Carrier, person: Box, picture: Picture, runs: Counter[str]) -> list[Box]:
        """The likeliest boxes, those where something was found before first."""
        window = about_hands(person, picture.width / picture.height)
        found = in_crop(
            self.detector, picture.crop(window), least_px=self.policy.least_px, most_area=self.policy.most_area
        )
        runs[self.detector.name] += 1
        boxes = mapped(found.boxes, window)
        on_person = covered(boxes, as_boxes([person]))[:, 0] >= self.policy.on_person
        boxes = boxes[on_person]
        if carrier.held and len(boxes):
            known = mapped(as_boxes([held.place for held in carrier.held]), person)
            again = iou(boxes, known).max(1) >= self.policy.same
            boxes = boxes[np.argsort(~again, kind="stable")]
        return [Box(*row.tolist()).clipped() for row in boxes[: self.policy.ask]]

    def _view(self, held: _Held, person: TrackView, at_s: float) -> TrackView:
        return TrackView(
            id=held.id * 2,
            label=Group.PACKAGE.value,
            confidence=held.belief.confidence(Group.PACKAGE),
            box=Box(*mapped(as_boxes([held.place]), person.box)[0].tolist()),
            confirmed=held.belief.label is Group.PACKAGE,
            supported=person.supported,
            since=held.since,
            evidence={
                "looks": held.belief.looks,
                "samples": held.belief.samples(Group.PACKAGE, at_s),
                "carried_by": person.id,
                "scores": {Group.PACKAGE.value: {self._share.name: round(held.share, 3)}},
            },
        )


def about_hands(person: Box, aspect: float) -> Box:
    """A square about the middle of a body, where hands hold what they carry. ``aspect``: the picture's width over height."""
    middle = (person.left + person.right) / 2
    width = max(0.75 * person.height / aspect, 1.3 * person.width)
    top = person.top + 0.08 * person.height
    return Box(middle - width / 2, top, middle + width / 2, top + 0.75 * person.height).clipped()


def _iou(a: Box, b: Box) -> float:
    return float(iou(as_boxes([a]), as_boxes([b]))[0, 0])

"""The tracks of a feed's labels: candidates of each look in, what is believed of each track out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from streamproc.core.classes import OBJECT_GROUPS
from streamproc.core.media import Moment
from streamproc.core.observation import TrackView
from streamproc.core.vision import Box
from streamproc.logic.boxes import as_boxes, covered
from streamproc.logic.evidence import Belief, BeliefPolicy, differ
from streamproc.logic.motion import Motion
from streamproc.logic.tracker import ANY_CLASS, Tracked, Tracker, TrackerPolicy
from streamproc.perception.candidates import NOISE, Candidate

_AGAINST = -1.0
"""Evidence below this says that the object is not there; a little above, that it is badly seen."""
_TRAVEL_S = 0.6
"""Whether a track goes on is seen over so long."""


@dataclass(frozen=True, slots=True)
class TrackPolicy:
    """When a track is out of view, and when it explains what moves inside it."""

    out_of_view: int = 3
    """After so many looks in a row that did not speak for it..."""
    out_of_view_s: float = 0.5
    """...and so many seconds a track is no longer in view (but followed a while yet)."""
    explained: float = 70.0
    """A track of this confidence explains the motion inside its box."""


@dataclass
class KnownTrack:
    """What is remembered of one track beside its boxes."""

    belief: Belief
    since: Moment
    best: dict[str, dict[str, float]] = field(default_factory=dict)
    """Best score by group and model, for the record."""
    close_looks: int = 0
    misses: int = 0
    """Looks in a row that did not speak for its class..."""
    spoke_s: float = 0.0
    """...and when the last one did."""
    anchor: Box | None = None
    anchor_s: float = 0.0
    travels: bool = False
    """Went on lately (a parked car does not explain what walks past it)."""


class LabelTracks:
    """Follows candidates from look to look and adds up their evidence. ``tracker``, ``known`` and ``boxes`` are all that changes."""

    def __init__(self, belief: BeliefPolicy, tracking: TrackerPolicy, policy: TrackPolicy | None = None) -> None:
        self.policy = policy or TrackPolicy()
        self.tracker = Tracker(tracking)
        self.known: dict[int, KnownTrack] = {}
        self.boxes: dict[int, Box] = {}
        self._belief = belief

    def adopt(self, belief: BeliefPolicy, tracking: TrackerPolicy) -> None:
        """Other rules from now on, also for what is followed already."""
        self._belief = belief
        self.tracker.policy = tracking
        for known in self.known.values():
            known.belief.policy = belief

    def reset(self) -> None:
        """Nothing that was in view is taken to be there still. Track ids go on."""
        self.tracker.reset()
        self.known, self.boxes = {}, {}

    def unsettled(self) -> bool:
        """Whether the next look may settle that a track is still in view."""
        return any(each.belief.label and 0 < each.misses < self.policy.out_of_view for each in self.known.values())

    def settled_alone(self, views: Iterable[TrackView], at_s: float) -> tuple[TrackView, ...]:
        """The label tracks among ``views``, decided on this one look."""
        settled = []
        for view in views:
            known = self.known.get(view.id // 2) if view.id % 2 else None
            if known is not None:
                known.belief.settle_alone(at_s)
                confirmed = known.belief.label is not None and known.belief.label.value == view.label
                settled.append(replace(view, confirmed=confirmed))
        return tuple(settled)

    def sure_boxes(self) -> list[Box]:
        """Boxes of all tracks, also of groups that are not announced, whose group is as good as certain."""
        boxes = []
        for id_, box in self.boxes.items():
            known = self.known[id_]
            best = known.belief.best
            if best is None or known.belief.confidence(best) < self.policy.explained:
                continue
            if known.travels or best.traits.moves_in_place:
                boxes.append(box)
        return boxes

    def follow(self, candidates: Sequence[Candidate], motion: Motion, at: Moment) -> list[TrackView]:
        """Take in what a look found; what is in view by now."""
        boxes = as_boxes([each.box for each in candidates])
        scores = np.array([max(each.strength, NOISE if each.second_look else 0.0) for each in candidates], np.float32)
        classes = np.array([_likely(each) for each in candidates], np.int32)
        tracked = self.tracker.update(boxes, scores, at.seconds, classes)
        alive = {each.id for each in tracked}
        self.boxes = {each.id: each.box for each in tracked}
        self.known = {id_: known for id_, known in self.known.items() if id_ in alive}
        views = []
        for each in tracked:
            known = self.known.get(each.id)
            if known is None:
                known = self.known[each.id] = KnownTrack(Belief(self._belief), at)
            known.misses += 1
            if each.row is not None:
                self._learn(known, candidates[each.row], motion, at.seconds)
            view = self._view(each, known, at.seconds)
            if view is not None:
                views.append(view)
        return views

    @staticmethod
    def _learn(known: KnownTrack, candidate: Candidate, motion: Motion, at_s: float) -> None:
        moves = motion.camera or any(
            covered(as_boxes([blob.box]), as_boxes([candidate.box]))[0, 0] > 0.5 for blob in motion.blobs
        )
        evidence = candidate.evidence()
        known.belief.add(evidence, at_s, candidate.box, moves=moves, camera=motion.camera)
        group = known.belief.label or known.belief.best
        if group is not None and evidence[group] > _AGAINST:
            known.misses, known.spoke_s = 0, at_s
        known.close_looks += candidate.second_look
        if known.anchor is None or at_s - known.anchor_s >= _TRAVEL_S:
            known.travels = known.anchor is not None and differ(known.anchor, candidate.box)
            known.anchor, known.anchor_s = candidate.box, at_s
        for group, models in candidate.scores.items():
            mine = known.best.setdefault(group.value, {})
            for model, score in models.items():
                mine[model] = max(mine.get(model, 0.0), round(score, 3))

    def _view(self, tracked: Tracked, known: KnownTrack, at_s: float) -> TrackView | None:
        belief = known.belief
        group = belief.label or belief.best
        if group is None:
            return None
        if known.misses >= self.policy.out_of_view and at_s - known.spoke_s >= self.policy.out_of_view_s:
            return None
        return TrackView(
            id=tracked.id * 2 + 1,
            label=group.value,
            confidence=belief.confidence(group),
            box=tracked.box,
            confirmed=belief.label is group,
            supported=known.misses == 0,
            since=known.since,
            evidence={
                "looks": belief.looks,
                "samples": belief.samples(group, at_s),
                "second_looks": known.close_looks,
                "scores": {group: dict(scores) for group, scores in known.best.items()},
            },
        )


def _likely(candidate: Candidate) -> int:
    """The tracker's class of a candidate: its group where that is clear."""
    group = max(candidate.odds, key=lambda each: candidate.odds[each])
    return OBJECT_GROUPS.index(group) if candidate.odds[group] > 0.5 else ANY_CLASS

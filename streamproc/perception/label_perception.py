"""Live labels of one feed: sampled frames in, tracks with evidence out. Synchronous and deterministic.

A frame goes through: motion gate on a thumbnail; detectors on the whole frame; a second look at tight native crops of what moves and is not explained yet;
tracks; belief per track. Packages are looked for on their own (see ``parcels``): they do not move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from streamproc.config.processor import LabelSettings
from streamproc.contracts import Detector
from streamproc.core.classes import OBJECT_GROUPS, Group
from streamproc.core.media import Frame, Moment, Picture
from streamproc.core.observation import Observation, TrackView
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import as_boxes, covered, expand, iou
from streamproc.logic.evidence import Belief, BeliefPolicy, differ
from streamproc.logic.gate import GatePolicy, MotionGate
from streamproc.logic.motion import Blob, Motion, thumbnail_size
from streamproc.logic.structure import from_document, to_document
from streamproc.logic.tracker import ANY_CLASS, Tracked, Tracker, TrackerPolicy
from streamproc.perception.beside import ALONE, Beside
from streamproc.perception.candidates import LEAST_SCORE, Candidate, in_frame, nothing_there, up_close
from streamproc.perception.detect import detect_all
from streamproc.perception.label_models import LabelModels
from streamproc.perception.parcels import ParcelSearch, ParcelState
from streamproc.perception.passed_over import passed_over

_HINT = 0.3
"""A candidate of less strength is noise of the detectors."""
_AGAINST = -1.0
"""Evidence below this says that the object is not there; a little above, that it is badly seen."""
_SLOW, _SLOW_S = 1.5, 1.0
"""A feed is slower than asked where its pictures come more than so many times (and so many seconds) further apart; a dropped frame is no such."""
_TRAVEL_S = 0.6
"""Whether a track goes on is seen over so long."""


@dataclass(frozen=True, slots=True)
class LookPolicy:
    """How much is spent on a look."""

    crops: int = 2
    """Most second looks a frame."""
    big_blob: float = 0.4
    """A blob that covers more of the frame than this gains nothing from a second look."""
    no_gain: float = 1.3
    """A second look at fewer times the whole frame's resolution shows nothing that was not there."""
    large_px: float = 48.0
    """What is this large (smaller side, on the detector's canvas) the whole frame should have shown."""
    out_of_view: int = 3
    """After so many looks in a row that did not speak for it..."""
    out_of_view_s: float = 0.5
    """...and so many seconds a track is no longer in view (but followed a while yet)."""
    explained: float = 70.0
    """A track of this confidence explains the motion inside its box."""


@dataclass
class _Known:
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


@dataclass
class _State:
    """Everything that changes; a state document can hold it (``structure.to_document``)."""

    tracker: Tracker
    gate: MotionGate = field(default_factory=MotionGate)
    known: dict[int, _Known] = field(default_factory=dict)
    boxes: dict[int, Box] = field(default_factory=dict)
    last: tuple[TrackView, ...] = ()
    last_s: float = 0.0
    """Media time of the newest frame."""


@dataclass(frozen=True)
class _Kept:
    """What a ``snapshot`` holds."""

    tracks: _State
    parcels: ParcelState | None


class LabelPerception:
    """Label perception of one feed: gate, trackers and beliefs. Not thread-safe; one call at a time, frames in order."""

    def __init__(self, settings: LabelSettings, models: LabelModels, beside: Beside = ALONE) -> None:
        self.settings, self._beside = settings, beside
        self.models = models
        self.second_look = settings.second_look
        """May be switched between looks."""
        self.policy = LookPolicy()
        self._gate = GatePolicy(enabled=settings.motion_gate)
        self._belief, self._tracking = _paced(settings, settings.fps)
        self._parcels: ParcelSearch | None = None
        if models.proposals and models.classifier is not None:
            self._parcels = ParcelSearch(models.proposals, models.classifier, self._belief, beside=beside)
        self._state = _State(Tracker(self._tracking))
        self._asked_fps = self._paced_fps = settings.fps

    def pace(self, fps: float) -> None:
        """Frames come at another rate from now on."""
        self._asked_fps = fps
        self._pace(fps)

    def _pace(self, fps: float) -> None:
        self._paced_fps = fps
        self._belief, self._tracking = _paced(self.settings, fps)
        self._adopt()

    def _adopt(self) -> None:
        self._state.tracker.policy = self._tracking
        for known in self._state.known.values():
            known.belief.policy = self._belief
        if self._parcels is not None:
            self._parcels.pace(self._belief)

    def use(self, models: LabelModels) -> None:
        """Other models for the same classes from now on; what is followed goes on being followed."""
        self.models = models
        if self._parcels is not None and models.proposals:
            self._parcels.use(models.proposals)

    def snapshot(self) -> Any:
        """The state as a plain document (``state_codec``)."""
        return {
            "tracks": to_document(self._state),
            "parcels": to_document(self._parcels.state if self._parcels else None),
        }

    def restore(self, state: Any) -> None:
        """Go on from a ``snapshot``. Raises StateDamaged where ``state`` is none; nothing has changed then."""
        kept = from_document(_Kept, state)
        self._state = kept.tracks
        if self._parcels is not None:
            self._parcels.state = kept.parcels or ParcelState()

    def reset(self) -> None:
        """After a gap: nothing that was in view is taken to be there still. Track ids go on."""
        state = self._state
        state.gate.reset()
        state.tracker.reset()
        state.known, state.boxes, state.last = {}, {}, ()
        if self._parcels is not None:
            self._parcels.reset()

    def look(self, frame: Frame) -> Observation:
        """Take in the next sampled frame."""
        state, picture = self._state, frame.picture
        state.last_s = frame.at.seconds
        grey = picture.luma(*thumbnail_size(picture.width, picture.height))
        gate = state.gate.update(grey, frame.at.seconds, undecided=self._undecided(), policy=self._gate)
        if not gate.analyse:
            return Observation(frame.at, state.last, analysed=False, moving=False, motion=gate.motion.measured)
        motion = gate.motion
        runs: Counter[str] = Counter()
        found = self._detect(frame, runs)
        whole = self._in_frame(picture, found)
        candidates = self._candidates(frame, motion, whole, runs)
        tracks = self._follow(candidates, motion, frame.at)
        if self._parcels is not None:
            people = [view for view in tracks if view.label == Group.PERSON and view.confidence >= 50]
            tracks += self._parcels.look(picture, frame.at, grey, found, people, runs, hands=self.second_look)
        state.last = tuple(view for view in tracks if view.label in self.settings.classes)
        return Observation(
            frame.at,
            state.last,
            analysed=True,
            runs=dict(runs),
            moving=not gate.calm,
            motion=motion.measured,
            passed_over=passed_over(
                whole, tracks, self.settings.classes, self._parcels.turned_down if self._parcels is not None else ()
            ),
        )

    def conclude(self) -> tuple[TrackView, ...]:
        """The feed gave one picture and ended (a photograph): tracks, decided on what it shows."""
        views = []
        for view in self._state.last:
            known = self._state.known.get(view.id // 2) if view.id % 2 else None
            if known is not None:
                known.belief.settle_alone(self._state.last_s)
                settled = known.belief.label is not None and known.belief.label.value == view.label
                views.append(replace(view, confirmed=settled))
        return tuple(views)

    def spaced(self, seconds: float) -> None:
        """The feed gives fewer pictures than are asked for (a time lapse): windows and tracks last from one to the next."""
        slow = seconds > _SLOW * (1 / self._asked_fps) + _SLOW_S
        fps = 1 / seconds if slow else self._asked_fps
        if abs(fps - self._paced_fps) > 0.2 * self._paced_fps:
            self._pace(fps)
            if slow and seconds > self.settings.evidence.window:
                # Each picture shows another scene: what moves is elsewhere by the next, so each is decided on what it shows.
                self._belief = replace(self._belief, samples=1)
                self._adopt()

    def _undecided(self) -> bool:
        """Whether the next frame may verify a package, or settle whether a track is still in view."""
        if self._parcels is not None and self._parcels.busy:
            return True
        known = self._state.known.values()
        return any(each.belief.label and 0 < each.misses < self.policy.out_of_view for each in known)

    def _detect(self, frame: Frame, runs: Counter[str]) -> dict[str, Detections]:
        """Every detector of the whole frame, by name."""
        whole = self.models.whole(frame.picture.width, frame.picture.height)
        if not whole:
            return {}
        runs.update(each.name for each in whole)
        small = frame.picture.bgr(max(each.input_size[0] for each in whole), max(each.input_size[1] for each in whole))
        names, found = [each.name for each in whole], detect_all(whole, small, LEAST_SCORE, self._beside)
        return dict(zip(names, found, strict=True))

    def _in_frame(self, picture: Picture, found: dict[str, Detections]) -> list[Candidate]:
        whole = self.models.whole(picture.width, picture.height)
        return in_frame(whole, [found[each.name] for each in whole])

    def _candidates(
        self, frame: Frame, motion: Motion, candidates: list[Candidate], runs: Counter[str]
    ) -> list[Candidate]:
        """Those of the whole frame, with second looks."""
        whole = self.models.whole((picture := frame.picture).width, picture.height)
        if not self.second_look or not whole:
            return candidates
        close = self.models.close()
        classified = self.models.classified
        classifier = self.models.classifier if classified else None
        blobs = self._unexplained(motion.blobs, candidates)[: self.policy.crops]
        for again in self._beside.map(lambda blob: up_close(close, classifier, picture, blob.box, classified), blobs):
            runs.update(each.name for each in (*close, *([classifier] if classifier else ())))
            if self._seen_before(again.box, picture, whole):
                missed = nothing_there(whole)
                again = replace(again, odds={group: (value + missed[group]) / 2 for group, value in again.odds.items()})
            candidates = _joined(candidates, again)
        return candidates

    def _seen_before(self, box: Box, picture: Picture, whole: Sequence[Detector]) -> bool:
        """Whether the whole frame showed this large, and with all the pixels there are: then a second look has little to add."""
        scale = min(whole[0].input_size[0] / picture.width, whole[0].input_size[1] / picture.height)
        side = min(box.width * picture.width, box.height * picture.height) * min(scale, 1.0)
        return 1 / scale < self.policy.no_gain and side > self.policy.large_px

    def _unexplained(self, blobs: Sequence[Blob], candidates: Sequence[Candidate]) -> list[Blob]:
        """What moves where no sure track is, largest first."""
        sure = [
            expand(box, 1.2)
            for box in self._sure_boxes()
            if any(iou(as_boxes([box]), as_boxes([each.box]))[0, 0] > 0.3 for each in candidates)
        ]
        blobs = [blob for blob in blobs if blob.box.area < self.policy.big_blob]
        if not sure or not blobs:
            return list(blobs)
        inside = covered(as_boxes([blob.box for blob in blobs]), as_boxes(sure)).max(1)
        return [blob for blob, share in zip(blobs, inside, strict=True) if share < 0.6]

    def _sure_boxes(self) -> list[Box]:
        """Boxes of all tracks, also of groups that are not announced, whose group is as good as certain."""
        boxes = []
        for id_, box in self._state.boxes.items():
            known = self._state.known[id_]
            best = known.belief.best
            if best is None or known.belief.confidence(best) < self.policy.explained:
                continue
            if known.travels or best.traits.moves_in_place:
                boxes.append(box)
        return boxes

    def _follow(self, candidates: Sequence[Candidate], motion: Motion, at: Moment) -> list[TrackView]:
        state = self._state
        boxes = as_boxes([each.box for each in candidates])
        scores = np.array([max(each.strength, _HINT if each.second_look else 0.0) for each in candidates], np.float32)
        classes = np.array([_likely(each) for each in candidates], np.int32)
        tracked = state.tracker.update(boxes, scores, at.seconds, classes)
        alive = {each.id for each in tracked}
        state.boxes = {each.id: each.box for each in tracked}
        state.known = {id_: known for id_, known in state.known.items() if id_ in alive}
        views = []
        for each in tracked:
            known = state.known.get(each.id)
            if known is None:
                known = state.known[each.id] = _Known(Belief(self._belief), at)
            known.misses += 1
            if each.row is not None:
                self._learn(known, candidates[each.row], motion, at.seconds)
            view = self._view(each, known, at.seconds)
            if view is not None:
                views.append(view)
        return views

    @staticmethod
    def _learn(known: _Known, candidate: Candidate, motion: Motion, at_s: float) -> None:
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

    def _view(self, tracked: Tracked, known: _Known, at_s: float) -> TrackView | None:
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


def _paced(settings: LabelSettings, fps: float) -> tuple[BeliefPolicy, TrackerPolicy]:
    """A feed that is looked at rarely still gets its samples, and its tracks live from look to look."""
    step_s, asked = 1 / fps, settings.evidence
    window_s = max(asked.window, (asked.samples + 1) * step_s)
    tracking = TrackerPolicy(
        high=0.5, opens=_HINT, low=0.1, forget_s=max(1.5, 3.5 * step_s), forget_new_s=max(0.7, 2.5 * step_s)
    )
    return BeliefPolicy(samples=asked.samples, window_s=window_s), tracking


def _likely(candidate: Candidate) -> int:
    """The tracker's class of a candidate: its group where that is clear."""
    group = max(candidate.odds, key=lambda each: candidate.odds[each])
    return OBJECT_GROUPS.index(group) if candidate.odds[group] > 0.5 else ANY_CLASS


def _joined(candidates: list[Candidate], close: Candidate) -> list[Candidate]:
    """A second look takes the place of what the whole frame showed of the same thing, and counts as half of the verdict."""
    if not candidates:
        return [close]
    overlaps = iou(as_boxes([close.box]), as_boxes([each.box for each in candidates]))[0]
    index = int(overlaps.argmax())
    if overlaps[index] < 0.4:
        return [*candidates, close]
    old = candidates[index]
    if old.strength < _HINT:
        return [*candidates[:index], close, *candidates[index + 1 :]]
    odds = {group: (value + old.odds[group]) / 2 for group, value in close.odds.items()}
    scores: dict[Group, dict[str, float]] = {group: dict(models) for group, models in old.scores.items()}
    for group, models in close.scores.items():
        for model, score in models.items():
            scores.setdefault(group, {})[model] = max(scores.get(group, {}).get(model, 0.0), score)
    return [*candidates[:index], Candidate(old.box, odds, scores, second_look=True), *candidates[index + 1 :]]

"""Live labels of one feed: sampled frames in, tracks with evidence out. Synchronous and deterministic.

A frame goes through: motion gate on a thumbnail; detectors on the whole frame and a second look at tight native crops of what moves and is not
explained yet (``frame_search``); tracks with a belief each (``label_tracks``). Packages are looked for on their own (``parcels``): they do not move.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from streamproc.config.processor import LabelSettings
from streamproc.core.classes import Group
from streamproc.core.media import Frame
from streamproc.core.observation import Observation, TrackView
from streamproc.core.vision import Box
from streamproc.logic.gate import GatePolicy, MotionGate
from streamproc.logic.motion import thumbnail_size
from streamproc.logic.structure import from_document, to_document
from streamproc.logic.tracker import Tracker
from streamproc.perception.beside import ALONE, Beside
from streamproc.perception.frame_search import FrameSearch
from streamproc.perception.label_models import LabelModels
from streamproc.perception.label_pace import LabelPace
from streamproc.perception.label_tracks import KnownTrack, LabelTracks
from streamproc.perception.parcels import ParcelSearch, ParcelState
from streamproc.perception.passed_over import passed_over


@dataclass(frozen=True)
class _State:
    """The part of a ``snapshot`` beside packages."""

    tracker: Tracker
    gate: MotionGate = field(default_factory=MotionGate)
    known: dict[int, KnownTrack] = field(default_factory=dict)
    boxes: dict[int, Box] = field(default_factory=dict)
    last: tuple[TrackView, ...] = ()
    last_s: float = 0.0


@dataclass(frozen=True)
class _Kept:
    """What a ``snapshot`` holds."""

    tracks: _State
    parcels: ParcelState | None


class LabelPerception:
    """Label perception of one feed. Not thread-safe; one call at a time, frames in order."""

    def __init__(self, settings: LabelSettings, models: LabelModels, beside: Beside = ALONE) -> None:
        self.settings = settings
        self.search = FrameSearch(models, beside)
        self.second_look = settings.second_look
        """May be switched between looks."""
        self._pace = LabelPace(settings)
        self._gate_policy = GatePolicy(enabled=settings.motion_gate)
        self._gate = MotionGate()
        self._tracks = LabelTracks(self._pace.belief, self._pace.tracking)
        self._parcels: ParcelSearch | None = None
        if models.proposals and models.classifier is not None:
            self._parcels = ParcelSearch(models.proposals, models.classifier, self._pace.belief, beside=beside)
        self._last: tuple[TrackView, ...] = ()
        self._last_s = 0.0
        """Media time of the newest frame."""

    @property
    def models(self) -> LabelModels:
        return self.search.models

    def pace(self, fps: float) -> None:
        """Frames come at another rate from now on."""
        self._pace.asked(fps)
        self._adopt()

    def spaced(self, seconds: float) -> None:
        """The feed gives fewer pictures than are asked for (a time lapse): windows and tracks last from one to the next."""
        if self._pace.spaced(seconds):
            self._adopt()

    def _adopt(self) -> None:
        self._tracks.adopt(self._pace.belief, self._pace.tracking)
        if self._parcels is not None:
            self._parcels.pace(self._pace.belief)

    def use(self, models: LabelModels) -> None:
        """Other models for the same classes from now on; what is followed goes on being followed."""
        self.search = replace(self.search, models=models)
        if self._parcels is not None and models.proposals:
            self._parcels.use(models.proposals)

    def snapshot(self) -> Any:
        """The state as a plain document (``state_codec``)."""
        tracks = self._tracks
        state = _State(tracks.tracker, self._gate, tracks.known, tracks.boxes, self._last, self._last_s)
        return {
            "tracks": to_document(state),
            "parcels": to_document(self._parcels.state if self._parcels else None),
        }

    def restore(self, state: Any) -> None:
        """Go on from a ``snapshot``. Raises StateDamaged where ``state`` is none; nothing has changed then."""
        kept = from_document(_Kept, state)
        was, tracks = kept.tracks, self._tracks
        tracks.tracker, tracks.known, tracks.boxes = was.tracker, was.known, was.boxes
        self._gate, self._last, self._last_s = was.gate, was.last, was.last_s
        if self._parcels is not None:
            self._parcels.state = kept.parcels or ParcelState()

    def reset(self) -> None:
        """After a gap: nothing that was in view is taken to be there still. Track ids go on."""
        self._gate.reset()
        self._tracks.reset()
        self._last = ()
        if self._parcels is not None:
            self._parcels.reset()

    def look(self, frame: Frame) -> Observation:
        """Take in the next sampled frame."""
        picture, at = frame.picture, frame.at
        self._last_s = at.seconds
        grey = picture.luma(*thumbnail_size(picture.width, picture.height))
        gate = self._gate.update(grey, at.seconds, undecided=self._undecided(), policy=self._gate_policy)
        if not gate.analyse:
            return Observation(at, self._last, analysed=False, moving=False, motion=gate.motion.measured)
        motion, runs = gate.motion, Counter[str]()
        moving = self.models.objects
        found = self.search.whole(picture, runs) if moving or self.second_look else {}
        whole = candidates = self.search.candidates(picture, found)
        if moving and self.second_look:
            candidates = self.search.closer(picture, whole, motion.blobs, self._tracks.sure_boxes(), runs)
        tracks = self._tracks.follow(candidates, motion, at)
        if self._parcels is not None:
            people = [view for view in tracks if view.label == Group.PERSON and view.confidence >= 50]
            tracks += self._parcels.look(picture, at, grey, found, people, runs, hands=self.second_look)
        self._last = tuple(view for view in tracks if view.label in self.settings.classes)
        turned_down = self._parcels.turned_down if self._parcels is not None else ()
        return Observation(
            at,
            self._last,
            analysed=True,
            runs=dict(runs),
            moving=not gate.calm,
            motion=motion.measured,
            passed_over=passed_over(whole, tracks, self.settings.classes, turned_down),
        )

    def conclude(self) -> tuple[TrackView, ...]:
        """The feed gave one picture and ended (a photograph): tracks, decided on what it shows."""
        return self._tracks.settled_alone(self._last, self._last_s)

    def _undecided(self) -> bool:
        """Whether the next frame may verify a package, or settle whether a track is still in view."""
        return (self._parcels is not None and self._parcels.busy) or self._tracks.unsettled()

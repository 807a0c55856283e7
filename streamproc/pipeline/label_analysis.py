"""The analysis of a lane that finds people, pets and packages: tracks in, sightings inside the regions out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any

from streamproc.config.processor import LabelSettings
from streamproc.core.classes import any_moving, followed
from streamproc.core.decisions import Candidate, Fate, Refusal
from streamproc.core.event import EventType, RegionHit
from streamproc.core.media import Frame
from streamproc.core.observation import TrackView
from streamproc.logic import refusals
from streamproc.logic.attention import OpenNews, presence_interval
from streamproc.logic.load_shedding import QualityLevel, Step
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.logic.sighting import Sighting
from streamproc.pipeline.analysis import RESTING, FrameResult, LabelPerceiver, RatedAnalysis


class LabelAnalysis(RatedAnalysis):
    """People, pets and packages inside the regions."""

    def __init__(
        self,
        perceiver: LabelPerceiver,
        settings: LabelSettings,
        sampler: Sampler,
        regions: RegionMap,
        small_models: Callable[[], Any] = lambda: None,
    ) -> None:
        """``small_models`` loads cheaper models for the same classes; None where there are none."""
        super().__init__(perceiver, sampler, regions)
        self.perceiver = perceiver
        self.min_confidence = settings.min_confidence
        self._samples = settings.evidence.samples
        self._second_look = settings.second_look and any_moving(followed(settings.classes))
        self._own_models = perceiver.models
        self._load_small = small_models
        self._small: Any = None
        self._small_known = False
        self._in_view: frozenset[str] = frozenset()
        self._analysed = Fraction(0)
        """Media time of the newest frame."""

    def can(self, step: Step) -> bool:
        if step is Step.SECOND_LOOK:
            return self._second_look and self.eased.second_look
        if step is Step.SMALL_MODEL:
            return not self.eased.small_model and (self._small is not None or not self._small_known)
        return super().can(step)

    def prepare(self, eased: QualityLevel) -> None:
        if eased.small_model and not self._small_known:
            self._small, self._small_known = self._load_small(), True

    def ease(self, eased: QualityLevel) -> None:
        super().ease(eased)
        self.perceiver.second_look = self._second_look and eased.second_look
        models = self._small if eased.small_model and self._small is not None else self._own_models
        if models is not self.perceiver.models:
            self.perceiver.use(models)

    def attend(self, news: OpenNews) -> bool:
        interval = presence_interval(news, self._in_view)
        if interval != self._presence:
            self._presence = interval
            self._pace()
            if interval is not None:
                self.sampler.take(self._analysed)
        return interval is not None

    def analyse(self, frame: Frame) -> FrameResult:
        self._analysed = frame.at.media
        if self.rests(frame):
            self._in_view = frozenset()
            return RESTING
        seen, closed = self.perceiver.look(frame), self.hours.closed(frame.at.wall)
        self._closed = closed
        sightings, refused, in_frame = [], list(seen.passed_over), set()
        for track in seen.tracks:
            hit = self._hit(track, closed)
            refusal = self._refusal(track, hit)
            if hit is not None:
                sightings.append(_label_sighting(track, hit, ready=refusal is None))
                in_frame |= {track.label} if track.supported else set()
            if refusal is not None:
                refused.append(Candidate(track.id, track.label, track.confidence, track.box, refusal))
        in_view = [
            {"label": t.label, "confidence": t.confidence, "box": t.box, "track": t.id}
            for t in seen.tracks
            if t.confirmed
        ]
        self._in_view = frozenset(in_frame)
        return FrameResult(
            sightings,
            None,
            seen.runs,
            seen.moving,
            in_view,
            fate=Fate.ANALYSED if seen.analysed else Fate.GATED,
            motion=seen.motion,
            refused=refused,
        )

    def spaced(self, seconds: float) -> None:
        self.perceiver.spaced(seconds)

    def conclude(self) -> list[Sighting]:
        found = () if self._resting else self.perceiver.conclude()
        return [
            _label_sighting(track, hit, ready=self._refusal(track, hit) is None)
            for track in found
            if (hit := self._hit(track, self._closed)) is not None
        ]

    def _hit(self, track: TrackView, closed: Collection[str]) -> RegionHit | None:
        """The region that it is in, of a track that keeps its class in view."""
        # Between frames that lie far apart people are lost and found anew: one found a moment ago shows that somebody is there.
        seen = track.confidence >= self.min_confidence and track.supported
        counts = track.confirmed or (seen and self._presence is not None)
        return self.regions.best(track.box, closed) if counts else None

    def _refusal(self, track: TrackView, hit: RegionHit | None) -> Refusal | None:
        """The first gate that keeps a track from being announced."""
        if not track.confirmed:
            return refusals.unconfirmed(track, self._samples, self.min_confidence)
        if track.confidence < self.min_confidence:
            return refusals.too_low(track.confidence, self.min_confidence)
        if hit is None:
            return self.regions.miss(track.box)
        return None if track.supported else refusals.UNSEEN


def _label_sighting(track: TrackView, hit: RegionHit, *, ready: bool) -> Sighting:
    return Sighting(
        EventType.LABEL_DETECTED,
        track.label,
        track.confidence,
        track.box,
        hit,
        ready,
        {"evidence": {"track": track.id, "since_s": round(track.since.seconds, 3), **track.evidence}},
    )

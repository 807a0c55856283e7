"""Face analysis of a lane's frames: whose faces are in view, and which of them may be announced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from streamproc.config.processor import FaceSettings
from streamproc.core.decisions import FACE, Candidate, Fate, Refusal
from streamproc.core.event import EventType
from streamproc.core.faces import FaceTrackView, FaceVerdict
from streamproc.core.media import Frame, Picture
from streamproc.core.records import face_record_data
from streamproc.core.vision import Box
from streamproc.logic import refusals
from streamproc.logic.boxes import strangers
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.logic.sighting import Sighting
from streamproc.pipeline.analysis import RESTING, FacePerceiver, FrameResult, RatedAnalysis


class FaceAnalysis(RatedAnalysis):
    """Known and unknown faces inside the regions."""

    def __init__(self, perceiver: FacePerceiver, settings: FaceSettings, sampler: Sampler, regions: RegionMap) -> None:
        super().__init__(perceiver, sampler, regions)
        self.perceiver = perceiver
        self.records = settings.records
        self.keep_unknown_crops = settings.keep_unknown_crops
        self.blur_unknown = settings.blur_unknown
        self._threshold = settings.effective_threshold
        self._followed: tuple[FaceTrackView, ...] = ()
        """Who was in view at the last look."""

    def reset(self) -> None:
        super().reset()
        self._followed = ()

    def hides(self, picture: Picture) -> Sequence[Box]:
        """Every face of a picture but those that were recognised at the last look: who is not recognised, or not yet, is unknown."""
        if not self.blur_unknown:
            return ()
        followed = self._followed
        known = [track.box for track in followed if track.person and track.supported]
        unknown = [track.box for track in followed if not track.person]
        return [*unknown, *strangers(self.perceiver.find_all(picture), known, unknown)]

    def analyse(self, frame: Frame) -> FrameResult:
        if self.rests(frame):
            self._followed = ()
            return RESTING
        seen, closed = self.perceiver.look(frame), self.hours.closed(frame.at.wall)
        self._followed = seen.tracks
        sightings, refused = [], []
        for track in seen.tracks:
            sighting = self._sighting(track, closed)
            refusal = self._refusal(track, sighting)
            if sighting is not None:
                sightings.append(sighting)
            if refusal is not None:
                person = track.person or ("" if track.verdict is FaceVerdict.PENDING else track.identity)
                refused.append(Candidate(track.id, FACE, track.confidence, track.box, refusal, person))
        in_view = [
            {"label": t.person or "face", "confidence": t.confidence, "box": t.box, "track": t.id} for t in seen.tracks
        ]
        return FrameResult(
            sightings,
            face_record_data(seen.faces) if self.records else None,
            seen.runs,
            seen.moving,
            in_view,
            fate=Fate.ANALYSED if seen.analysed else Fate.GATED,
            motion=seen.motion,
            refused=refused,
        )

    def _refusal(self, track: FaceTrackView, sighting: Sighting | None) -> Refusal | None:
        if track.verdict is FaceVerdict.PENDING:
            return refusals.undecided(track, self._threshold)
        if sighting is None:
            return self.regions.miss(track.box)
        return None if track.supported else refusals.UNSEEN

    def _sighting(self, track: FaceTrackView, closed: Collection[str]) -> Sighting | None:
        hit = self.regions.best(track.box, closed) if track.verdict is not FaceVerdict.PENDING else None
        if hit is None:
            return None
        matched = track.verdict is FaceVerdict.MATCHED
        kind = EventType.FACE_MATCHED if matched else EventType.FACE_UNKNOWN
        name = (track.person or track.identity) if matched else track.identity
        data: dict[str, Any] = {
            "evidence": {"track": track.id, "since_s": round(track.since.seconds, 3), **track.evidence}
        }
        if matched and track.match is not None:
            data["face_id"] = track.match.face.face_id
        return Sighting(
            kind,
            name,
            track.confidence,
            track.box,
            hit,
            track.supported,
            data,
            pictures=matched or self.keep_unknown_crops,
        )

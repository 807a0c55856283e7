"""Faces of one feed: sampled frames in, the faces of each frame and decided tracks out. Synchronous and deterministic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from streamproc.config.processor import FaceSettings
from streamproc.core.faces import (
    DetectedFace,
    FaceObservation,
    FaceSighting,
    FaceVerdict,
    face_confidence,
)
from streamproc.core.media import Frame, Image, Moment, Picture
from streamproc.core.vision import Box, FaceBox, FloatArray
from streamproc.faces import quality
from streamproc.faces.decision import Decision, DecisionPolicy, TrackEvidence, logit
from streamproc.faces.engine import FaceEngine
from streamproc.faces.library import CollectionIndex
from streamproc.faces.reader import live_size
from streamproc.faces.track_decisions import HINT, FaceTrack, FeedFaces, TrackDecisions, view_of
from streamproc.logic.gate import GatePolicy
from streamproc.logic.motion import thumbnail_size
from streamproc.logic.state_codec import pack, unpack
from streamproc.logic.structure import from_document, to_document
from streamproc.logic.tracker import Tracker, TrackerPolicy

GATE: Final = quality.Gate(eye_distance_px=14, yaw=80, pitch=55, sharpness=12, brightness=5, confidence=50)
"""Looser than enrolment's: a poor look counts little, and a track is not decided on one."""
DECIDING: Final = {
    name: quality.Gate(
        eye_distance_px=16, yaw=55, pitch=40, sharpness=22, brightness=8, confidence=face_confidence(score)
    )
    for name, score in (("yunet", 0.82), ("centerface", 0.75))
}
"""By detector. A track is only decided when at least some looks were this good: profiles and blurs of strangers are alike."""
_POOR_LOOK: Final = 0.81
"""How much more than the threshold (in logits: 90 instead of 80) a look that is not that good must reach to name somebody."""
_OTHER_FACE: Final = 2.0
"""A look this unlike its track (similarity) is somebody else's: a cut, or one person passing before another."""
_KIND, _VERSION = "faces of a feed", 1
"""Of the sealed state document."""
_SETTLED_LOOKS: Final = 10


class FacePerception:
    """Face perception of one feed: gate, tracker and decisions. Not thread-safe; one call at a time, frames in order.

    Raises NotFound from ``look`` when the collection is gone, ModelMismatch when it is another embedder's.
    """

    def __init__(self, settings: FaceSettings, engine: FaceEngine, policy: DecisionPolicy | None = None) -> None:
        self.settings = settings
        self.engine = engine
        self.reader = engine.reader
        self.policy = policy or DecisionPolicy(threshold=settings.effective_threshold)
        self._detector = self.reader.detector if settings.detector == "default" else settings.detector
        self._deciding = DECIDING[self._detector]
        self._gate = GatePolicy(enabled=settings.motion_gate)
        self._decisions = TrackDecisions(self.reader.curve, self.policy)
        self._state = self._fresh()

    def _fresh(self) -> FeedFaces:
        return FeedFaces(Tracker(_paced(self.settings.fps)))

    def pace(self, fps: float) -> None:
        """Frames come at another rate from now on."""
        self._state.tracker.policy = _paced(fps)

    def snapshot(self) -> Any:
        """The state as a plain document (``state_codec``); sealed bytes of one where the node keeps its vectors sealed."""
        document = to_document(self._state)
        if self.engine.seal is not None:
            return self.engine.seal.seal(pack(_KIND, _VERSION, document), "feed")
        return document

    def restore(self, state: Any) -> None:
        """Go on from a ``snapshot``. One that was sealed with another key, or not at all, raises; nothing has changed then.

        Raises StateError where ``state`` is no snapshot of this version.
        """
        if isinstance(state, bytes) and self.engine.seal is not None:
            state = unpack(self.engine.seal.open(state, "feed"), _KIND, _VERSION)
        self._state = from_document(FeedFaces, state)

    def reset(self) -> None:
        """After a gap: nobody that was in view is taken to be there still. Ids and acquaintances go on."""
        self._state.tracker.reset()
        self._state.tracks = {}
        self._state.in_view = False
        self._state.gate.reset()

    def look(self, frame: Frame) -> FaceObservation:
        """Take in the next sampled frame. One in which nothing moved, while no face is in view, shows no face either: no model runs."""
        index = self.engine.library.open(self.settings.collection)
        self._follow_changes(index)
        picture = frame.picture
        grey = picture.luma(*thumbnail_size(picture.width, picture.height))
        in_view = self._state.in_view
        gate = self._state.gate.update(grey, frame.at.seconds, undecided=in_view, policy=self._gate)
        if not gate.analyse:
            return FaceObservation(frame.at, analysed=False, moving=False, motion=gate.motion.measured)
        size = live_size(picture.width, picture.height)
        found = self.reader.find_live(picture.bgr(*size), size, self._detector)
        judged = [self._judge(frame, face) for face in found]
        scores = np.array([face.score for face in found], np.float32)
        tracked = self._state.tracker.update(
            np.array([face.box for face in found], np.float32).reshape(-1, 4), scores, frame.at.seconds
        )
        owner = {each.row: each.id for each in tracked if each.row is not None}
        self._forget({each.id for each in tracked})
        self._state.in_view = bool(tracked)
        embedded = self._embed(frame, judged, owner)
        sightings = self._sightings(index, frame.at, judged, owner, embedded)
        self._decisions.decide(self._state, index, frame.at, {owner[row] for row in embedded if row in owner})
        views = [
            view_of(self._state.tracks[each.id], each.box, each.row is not None)
            for each in tracked
            if each.id in self._state.tracks
        ]
        runs = {"face_detector": 1, "face_embedder": len(embedded)}
        return FaceObservation(
            frame.at,
            tuple(sightings),
            tuple(views),
            runs=runs,
            moving=bool(tracked) or not gate.calm,
            motion=gate.motion.measured,
        )

    def find_all(self, picture: Picture) -> list[Box]:
        """Everything that may be a face, whoever's, and whether or not it is followed. Any thread."""
        return self.reader.find_doubtful(picture, self._detector)

    # one look

    def _follow_changes(self, index: CollectionIndex) -> None:
        """Somebody was enrolled: old votes say nothing about them. Something was deleted or denied: decide anew, keep no vector of it."""
        state, before = self._state, self._state.collection
        if before == index.version:
            return
        state.collection = index.version
        for track in state.tracks.values():
            track.seen.forget_votes()
        if before is not None and before[:2] != index.version[:2]:
            state.people = {}
            for track in state.tracks.values():
                track.decision, track.person, track.match = Decision(FaceVerdict.PENDING), None, None

    def _judge(self, frame: Frame, face: FaceBox) -> tuple[DetectedFace, Image, FaceBox]:
        """The face with its quality, and the native pixels around it with the face's place in them."""
        picture = frame.picture
        around = _around(face.box, picture.width, picture.height)
        crop = picture.crop(around)
        inner = _within(face, around)
        seen = quality.assess(crop, inner)
        return DetectedFace(face, seen), crop, inner

    def _embed(
        self, frame: Frame, judged: Sequence[tuple[DetectedFace, Image, FaceBox]], owner: dict[int, int]
    ) -> dict[int, FloatArray]:
        """Vectors of the faces that are worth one, by row."""
        vectors = {}
        for row, (detected, crop, inner) in enumerate(judged):
            if quality.reasons(detected.quality, detected.face, GATE):
                continue
            track = self._state.tracks.get(owner.get(row, -1))
            if track is not None and self._settled(track, frame.at.seconds):
                continue
            height, width = crop.shape[:2]
            vectors[row] = self.reader.embed_at(crop, quality.landmarks_px(inner, width, height))
        return vectors

    def _settled(self, track: FaceTrack, at_s: float) -> bool:
        """Without records to fill, a face that is long decided is only checked once a second."""
        decided = track.decision.verdict is not FaceVerdict.PENDING and track.seen.looks >= _SETTLED_LOOKS
        return decided and not self.settings.records and at_s - track.embedded_s < 1.0

    def _sightings(
        self,
        index: CollectionIndex,
        at: Moment,
        judged: Sequence[tuple[DetectedFace, Image, FaceBox]],
        owner: dict[int, int],
        vectors: dict[int, FloatArray],
    ) -> list[FaceSighting]:
        """Compare this frame's faces and let every track learn from its own."""
        rows = list(vectors)
        queries = (
            np.stack([vectors[row] for row in rows]) if rows else np.zeros((0, self.reader.dimensions), np.float32)
        )
        matches = dict(zip(rows, index.search(queries, self.policy.threshold, 10), strict=True))
        first = dict(zip(rows, index.people(queries, HINT, 1), strict=True))
        sightings = []
        for row, (detected, _, _) in enumerate(judged):
            track = self._track(owner.get(row), at, vectors.get(row))
            good = not quality.reasons(detected.quality, detected.face, self._deciding)
            if track is not None and row in vectors:
                person = first[row][0].person if first[row] else None
                weight = quality.weight(detected.quality, detected.face.score)
                eyes = detected.quality.eye_distance_px
                track.seen.add(vectors[row], weight, person, good=good, eye_distance_px=eyes)
                track.embedded_s = at.seconds
            if track is not None:
                track.confidence = face_confidence(detected.face.score)
            poor = logit(self.policy.threshold) + _POOR_LOOK
            found = tuple(match for match in matches.get(row, ()) if good or logit(match.similarity) >= poor)
            sightings.append(FaceSighting(detected, found, track.id if track is not None else 0))
        return sightings

    def _track(self, key: int | None, at: Moment, vector: FloatArray | None) -> FaceTrack | None:
        """The track of a box; a new one where the box is new or the face in it is plainly another."""
        if key is None:
            return None
        state = self._state
        track = state.tracks.get(key)
        if track is not None and vector is not None and track.seen.looks:
            alike = self.reader.curve.similarity(float(track.seen.mean @ vector))
            if alike < self._other_face(track):
                track = None
        if track is None:
            evidence = TrackEvidence.start(at.seconds, self.reader.dimensions)
            track = state.tracks[key] = FaceTrack(state.next_track, at, evidence)
            state.next_track += 1
        return track

    def _other_face(self, track: FaceTrack) -> float:
        """A track that is known well tells a stranger sooner."""
        return 30.0 if track.seen.weight >= 0.5 else _OTHER_FACE

    def _forget(self, alive: set[int]) -> None:
        self._state.tracks = {key: track for key, track in self._state.tracks.items() if key in alive}


def _paced(fps: float) -> TrackerPolicy:
    """A slow feed must not lose everybody between two looks."""
    return TrackerPolicy(high=0.3, low=0.1, forget_s=max(1.5, 3.5 / fps), forget_new_s=max(1.0, 2.5 / fps))


def _around(box: Box, width: int, height: int, margin: float = 0.6) -> Box:
    """The box with ground around it, on whole pixels, so that a crop of it is exactly this."""
    extra_x, extra_y = margin * box.width, margin * box.height
    return Box(
        max(0, math.floor((box.left - extra_x) * width)) / width,
        max(0, math.floor((box.top - extra_y) * height)) / height,
        min(width, math.ceil((box.right + extra_x) * width)) / width,
        min(height, math.ceil((box.bottom + extra_y) * height)) / height,
    )


def _within(face: FaceBox, part: Box) -> FaceBox:
    """The same face in the measure of a part of the frame."""
    origin = np.array([part.left, part.top], np.float32)
    size = np.array([max(part.width, 1e-6), max(part.height, 1e-6)], np.float32)
    corners = (np.array(face.box, np.float32).reshape(2, 2) - origin) / size
    box = Box(*(float(value) for value in corners.reshape(-1)))
    return FaceBox(box, face.score, ((face.landmarks - origin) / size).astype(np.float32))

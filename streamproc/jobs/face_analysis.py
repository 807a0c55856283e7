"""Face detection and face search over stored video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from streamproc.config.processor import FaceSettings
from streamproc.core.faces import face_confidence
from streamproc.core.media import EPOCH, Frame, Moment
from streamproc.core.vision import Box
from streamproc.faces.decision import DecisionPolicy
from streamproc.faces.perception import FacePerception
from streamproc.faces.service import FaceService
from streamproc.jobs.facefacts import LEAST_CONFIDENCE, face_to, match_to, owner_of
from streamproc.jobs.person_analysis import FindFaces
from streamproc.jobs.steps import coarse_step
from streamproc.jobs.video import Sound, VideoFacts, VideoFrame
from streamproc.perception.objects import LOOK, ObjectFinder


@dataclass(frozen=True, slots=True)
class FaceOptions:
    """What a request for faces may say."""

    attributes: bool = False
    """FaceAttributes ALL."""


@dataclass(frozen=True, slots=True)
class FaceSearchOptions:
    """What a request for a face search may say."""

    collection: str
    threshold: float = 80.0
    """Least similarity of a match, 0..100."""


class FaceAnalysis:
    """Every face of every look."""

    name = "faces"
    hears = False

    def __init__(self, video: VideoFacts, find_faces: FindFaces) -> None:
        self._step = coarse_step(video.rate)
        self._find_faces = find_faces
        self._rows: list[dict[str, Any]] = []

    def wants(self, index: int, at: Fraction) -> bool:
        return index % self._step == 0

    def add(self, frame: VideoFrame) -> None:
        found = self._find_faces(frame)
        self._rows += [{"ms": frame.milliseconds, "face": face_to(face)} for face in found]

    def hear(self, sound: Sound) -> None:
        """Not asked for."""

    def take(self) -> Any:
        rows, self._rows = self._rows, []
        return rows or None

    def finish(self) -> None:
        """Nothing is open."""

    def snapshot(self) -> Any:
        return None

    def restore(self, state: Any) -> None:
        """Nothing is carried from look to look."""

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        return {"faces": [row for part in rows for row in part]}


BODY_CONFIDENCE = 50.0
"""Right every second time; whose face it is is known already."""


class FaceSearchAnalysis:
    """Every face of every look, compared with a collection, and the body that it belongs to where one is seen."""

    name = "face-search"
    hears = False

    def __init__(
        self, options: FaceSearchOptions, video: VideoFacts, service: FaceService, objects: ObjectFinder | None = None
    ) -> None:
        """``objects``: finds the bodies; None where no model for them can be had."""
        service.describe_collection(options.collection)
        self._step = coarse_step(video.rate)
        settings = FaceSettings(collection=options.collection, threshold=options.threshold)
        self._objects = objects
        self._perception = FacePerception(settings, service.engine, DecisionPolicy(threshold=options.threshold))
        self._rows: list[dict[str, Any]] = []

    def wants(self, index: int, at: Fraction) -> bool:
        return index % self._step == 0

    def add(self, frame: VideoFrame) -> None:
        look = self._perception.look(Frame(Moment(frame.at, EPOCH), frame.picture))
        told = [each for each in look.faces if face_confidence(each.detected.face.score) >= LEAST_CONFIDENCE]
        bodies = self._bodies(frame) if told else []
        for sighting in told:
            face = sighting.detected.face
            owner = owner_of(face.box, bodies)
            row = {
                "ms": frame.milliseconds,
                "track": sighting.track,
                "confidence": round(face_confidence(face.score), 4),
                "face": face_to(sighting.detected),
                "matches": [match_to(match) for match in sighting.matches],
            }
            self._rows.append(row if owner is None else row | {"box": [round(value, 6) for value in bodies[owner]]})

    def _bodies(self, frame: VideoFrame) -> list[Box]:
        """People of a frame that has faces; frames without any are not looked through for them."""
        if self._objects is None:
            return []
        found = self._objects.find(frame.picture.bgr(LOOK, LOOK), BODY_CONFIDENCE, frame.memo, only="person")
        return [person.box for person in found]

    def hear(self, sound: Sound) -> None:
        """Not asked for."""

    def take(self) -> Any:
        rows, self._rows = self._rows, []
        return rows or None

    def finish(self) -> None:
        """Nothing is open."""

    def snapshot(self) -> Any:
        return self._perception.snapshot()

    def restore(self, state: Any) -> None:
        self._perception.restore(state)

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        numbers: dict[Any, int] = {}
        persons: list[dict[str, Any]] = []
        for each in (row for part in rows for row in part):
            # A face that belongs to no track yet is a person of its own.
            key = each["track"] or ("alone", len(persons))
            index = numbers.setdefault(key, len(numbers))
            persons.append({"index": index} | {name: value for name, value in each.items() if name != "track"})
        return {"persons": persons}

"""Face detection and face search over stored video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from streamproc.config.processor import FaceSettings
from streamproc.core.faces import FaceVerdict, face_confidence
from streamproc.core.media import EPOCH, Frame, Moment
from streamproc.core.vision import Box
from streamproc.faces.decision import DecisionPolicy
from streamproc.faces.perception import FacePerception
from streamproc.faces.service import FaceService
from streamproc.jobs.facefacts import LEAST_CONFIDENCE, face_to, match_to, owner_of
from streamproc.jobs.person_analysis import FindFaces
from streamproc.jobs.steps import coarse_step
from streamproc.jobs.video import Sound, VideoFrame
from streamproc.jobs.video_facts import VideoFacts
from streamproc.perception.objects import LOOK, PeopleFinder


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
        self, options: FaceSearchOptions, video: VideoFacts, service: FaceService, objects: PeopleFinder | None = None
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
        decided = {view.id: view.identity for view in look.tracks if view.verdict is not FaceVerdict.PENDING}
        bodies = self._bodies(frame) if told else []
        for sighting in told:
            face = sighting.detected.face
            owner = owner_of(face.box, bodies)
            row = {
                "ms": frame.milliseconds,
                "track": sighting.track,
                "who": decided.get(sighting.track),
                "confidence": round(face_confidence(face.score), 4),
                "face": face_to(sighting.detected),
                "matches": [match_to(match) for match in sighting.matches],
            }
            self._rows.append(row if owner is None else row | {"box": [round(value, 6) for value in bodies[owner]]})

    def _bodies(self, frame: VideoFrame) -> list[Box]:
        """People of a frame that has faces; frames without any are not looked through for them."""
        if self._objects is None:
            return []
        found = self._objects.people(frame.picture.bgr(LOOK, LOOK), BODY_CONFIDENCE, frame.memo)
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
        told = [row for part in rows for row in part]
        numbers = _numbered(told)
        hidden = {"track", "who"}
        return {
            "persons": [
                {"index": number} | {name: value for name, value in row.items() if name not in hidden}
                for number, row in zip(numbers, told, strict=True)
            ]
        }


@dataclass(slots=True)
class _Path:
    """One face that was followed."""

    first_ms: int
    last_ms: int
    who: str | None = None
    """Whom it was decided to be in the end; None: not decided."""


def _numbered(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """For each face of each look, in their order, the number of its person: 0, 1, 2... by first appearance.

    A face that belongs to no track is a person of its own.
    """
    paths: dict[int, _Path] = {}
    for row in rows:
        if row["track"]:
            path = paths.setdefault(row["track"], _Path(row["ms"], row["ms"]))
            path.last_ms, path.who = row["ms"], row.get("who") or path.who
    person = _persons(paths)
    numbers: dict[Any, int] = {}
    keys = [person[row["track"]] if row["track"] else ("alone", place) for place, row in enumerate(rows)]
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _persons(paths: Mapping[int, _Path]) -> dict[int, int]:
    """For each track the first track of its person: who is followed anew, after a cut or out of view, and was decided to be somebody from before.

    Who is seen while that person is in view is somebody else who looks like them.
    """
    found: dict[int, int] = {}
    known: dict[str, tuple[int, int]] = {}  # the first track, and until when the person was seen
    for track, path in paths.items():
        found[track] = track
        if path.who is None:
            continue
        first, last_ms = known.get(path.who, (track, -1))
        if last_ms < path.first_ms:
            found[track] = first
            known[path.who] = (first, path.last_ms)
    return found

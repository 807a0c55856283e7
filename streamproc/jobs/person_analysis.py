"""Person tracking: who is where, each person with one number over the video, with the face where one is seen.

Detectors look at the pictures that ``logic.person_looks`` asks for; who is where in those between is decided at the end, when the whole path is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.faces import DetectedFace
from streamproc.core.media import Image
from streamproc.core.vision import Box
from streamproc.jobs.facefacts import face_to, owner_of
from streamproc.jobs.steps import coarse_step, fine_step, look_step
from streamproc.jobs.video import Sound, VideoFrame
from streamproc.jobs.video_facts import VideoFacts
from streamproc.logic.boxes import Boxes, Floats, as_boxes, iou
from streamproc.logic.person_looks import LookPlan
from streamproc.logic.reappearance import Path, numbered
from streamproc.logic.structure import from_document, to_document
from streamproc.logic.tracklets import Look, OfflinePolicy, Track, follow
from streamproc.perception.objects import LOOK, PeopleFinder

_LEAST = 20.0
"""Confidence of a detection that is kept."""
_POLICY = OfflinePolicy(low=0.5, mean=0.5, match=0.35, link=-3.0, pause_s=0.4)
_GLANCES_A_SECOND = 2
"""How often it is looked at what people look like; clothes do not change, and each glance costs a model run a person."""
_GLANCES_AT = 8
"""People of one picture that are looked at, the surest."""
_FEW_S = 0.5
"""Where looks are closer than this, one look alone shows nobody."""
_ALONE = 0.2
"""Whose box overlaps another more than this (IoU) shows two people."""
Entry = dict[str, Any]

FindFaces = Callable[[VideoFrame], list[DetectedFace]]


@dataclass(frozen=True, slots=True)
class PersonOptions:
    """A request for persons has none."""

    faces: bool = True
    """Also find the persons' faces."""


@dataclass(frozen=True, slots=True)
class PersonLook:
    """What one picture showed."""

    ms: int
    at_s: float
    scene: int
    """Counts up at every cut."""
    boxes: Boxes
    """(N, 4) corners in 0..1 of the picture."""
    scores: Floats
    """(N,) probabilities."""
    faces: dict[int, Any]
    """By row of ``boxes``, JSON-ready."""
    vectors: dict[int, npt.NDArray[np.float16]] = field(default_factory=dict)
    """What people look like, by row of ``boxes``: unit vectors."""
    seen: bool = True
    """Detectors looked. Where they did not there are no boxes, and faces are by row of the look before."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a checkpoint keeps beside the looks."""

    scene: int
    thumb: npt.NDArray[np.uint8] | None
    plan: LookPlan
    thorough: bool
    glanced: int


class Appearance(Protocol):
    """Turns a crop with one person into a unit vector; alike for the same person."""

    def embed(self, crop: Image) -> Floats: ...


class PersonAnalysis:
    """Follows people from look to look."""

    name = "persons"
    hears = False

    def __init__(
        self,
        video: VideoFacts,
        objects: PeopleFinder,
        find_faces: FindFaces | None,
        appearance: Appearance | None = None,
    ) -> None:
        """``find_faces``, ``appearance``: None where it is not wanted or the model cannot be had."""
        self._step = fine_step(video.rate)
        self._glance_step = round(video.rate / _GLANCES_A_SECOND)
        self._appearance = appearance
        self._face_step = coarse_step(video.rate)
        self._objects = objects
        self._find_faces = find_faces
        self._thumb: npt.NDArray[np.uint8] | None = None
        self._scene = 0
        self._plan = LookPlan(look_step(video.rate))
        self._thorough = True
        """The next look asks every detector: the one before did without some."""
        self._glanced = -self._glance_step
        self._rows: list[PersonLook] = []

    def wants(self, index: int, at: Fraction) -> bool:
        return index % self._step == 0

    def add(self, frame: VideoFrame) -> None:
        cut = self._is_cut(frame)
        if cut:
            self._scene += 1
        if not cut and not self._plan.due(frame.index):
            faces = self._faces_of(frame, self._plan.boxes)
            nothing = as_boxes([]), np.zeros(0, np.float32)
            look = PersonLook(frame.milliseconds, float(frame.at), self._scene, *nothing, faces, seen=False)
            self._rows.append(look)
            return
        image = frame.picture.bgr(LOOK, LOOK)
        people = self._objects.people(image, _LEAST, frame.memo, thorough=self._thorough or cut)
        self._thorough = not self._thorough
        boxes = as_boxes([person.box for person in people])
        scores = np.array([person.confidence / 100 for person in people], np.float32)
        self._plan.took(frame.index, boxes, scores, cut=cut)
        vectors = self._vectors(image, boxes, scores) if self._glances(frame.index) else {}
        faces = self._faces_of(frame, boxes)
        self._rows.append(PersonLook(frame.milliseconds, float(frame.at), self._scene, boxes, scores, faces, vectors))

    def _glances(self, index: int) -> bool:
        """Whether it is looked at what people look like: half as often where nobody can be taken for another."""
        wait = self._glance_step * (2 if self._plan.calm else 1)
        if index - self._glanced < wait:
            return False
        self._glanced = index
        return True

    def _faces_of(self, frame: VideoFrame, boxes: Boxes) -> dict[int, Any]:
        """Faces by the row of whose they are."""
        if self._find_faces is None or not len(boxes) or frame.index % self._face_step:
            return {}
        bodies = [Box(*map(float, box)) for box in boxes]
        faces: dict[int, Any] = {}
        for face in reversed(self._find_faces(frame)):
            owner = owner_of(face.face.box, bodies)
            if owner is not None:
                faces[owner] = face_to(face)
        return faces

    def _vectors(self, image: Image, boxes: Boxes, scores: Floats) -> dict[int, npt.NDArray[np.float16]]:
        if self._appearance is None:
            return {}
        overlap = iou(boxes, boxes)
        np.fill_diagonal(overlap, 0.0)
        alone = [row for row in range(len(boxes)) if scores[row] > _POLICY.low and overlap[row].max() < _ALONE]
        size = np.array([image.shape[1], image.shape[0]] * 2)
        found: dict[int, npt.NDArray[np.float16]] = {}
        for row in sorted(alone, key=lambda row: -scores[row])[:_GLANCES_AT]:
            left, top, right, bottom = np.clip((boxes[row] * size).round(), 0, size).astype(int).tolist()
            if right - left > 1 and bottom - top > 1:
                vector = self._appearance.embed(image[top:bottom, left:right])
                # Half the precision loses nothing here, and hours of looks are held at the end.
                found[row] = vector.astype(np.float16)
        return found

    def _is_cut(self, frame: VideoFrame) -> bool:
        """Another scene: nobody who was there is taken to be at the same place."""
        thumb = np.asarray(cv2.cvtColor(frame.thumb(64, 36), cv2.COLOR_BGR2GRAY))
        before, self._thumb = self._thumb, thumb
        if before is None:
            return False
        change = float(cv2.absdiff(before, thumb).mean())
        a, b = before.astype(np.float32) - before.mean(), thumb.astype(np.float32) - thumb.mean()
        alike = float((a * b).mean()) / (float(a.std() * b.std()) + 1e-3)
        return change > 18 and alike < 0.4

    def hear(self, sound: Sound) -> None:
        """Not asked for."""

    def take(self) -> Any:
        rows, self._rows = self._rows, []
        return to_document(rows) or None

    def finish(self) -> None:
        """Nothing is open."""

    def snapshot(self) -> Any:
        return to_document(_Kept(self._scene, self._thumb, self._plan, self._thorough, self._glanced))

    def restore(self, state: Any) -> None:
        kept = from_document(_Kept, state)
        self._scene, self._thumb, self._plan = kept.scene, kept.thumb, kept.plan
        self._thorough, self._glanced = kept.thorough, kept.glanced

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        looks = [look for part in rows for look in from_document(list[PersonLook], part)]
        return {"persons": persons_of(looks, video.width / max(1, video.height))}


def persons_of(looks: Sequence[PersonLook], aspect: float) -> list[Entry]:
    """Who is where, in order of the looks; persons are numbered 0, 1, 2... by first appearance.

    ``aspect``: of the picture, width by height. Nobody is followed from one scene into the next; who surely looks like somebody
    from before a cut or a fade keeps the number.
    """
    found: list[tuple[Track, list[PersonLook]]] = []
    for _, group in groupby(looks, key=lambda look: look.scene):
        scene = list(group)
        found += [(track, scene) for track in follow([_square(look, aspect) for look in scene], _policy(scene))]
    empty_s = np.array([look.at_s for look in looks if look.seen and not (look.scores > _POLICY.low).any()])
    numbers = numbered([_path(track, scene, empty_s) for track, scene in found])
    told = [
        entry
        for number, (track, scene) in zip(numbers, found, strict=True)
        for entry in _entries(number, track, scene, aspect)
    ]
    return sorted(told, key=lambda entry: (entry["ms"], entry["index"]))


def _path(track: Track, scene: Sequence[PersonLook], empty_s: npt.NDArray[np.float64]) -> Path:
    """``empty_s``: times at which nobody was seen; beyond one, as beyond a cut, only appearance says who somebody is."""
    first, last = scene[track.looks[0]], scene[track.looks[-1]]
    seen = [
        scene[number].vectors[int(row)].astype(np.float32)
        for number, row in zip(track.looks, track.rows, strict=True)
        if int(row) in scene[number].vectors
    ]
    total = np.sum(seen, axis=0) if seen else np.zeros(1, np.float32)
    stretch = (first.scene, int(np.searchsorted(empty_s, first.at_s)))
    return Path(stretch, first.at_s, last.at_s, len(seen), total / max(float(np.linalg.norm(total)), 1e-9))


def _policy(scene: Sequence[PersonLook]) -> OfflinePolicy:
    """Of videos of few pictures a second, and of scenes that are over at once, fewer looks must do."""
    times = [look.at_s for look in scene if look.seen]
    if len(times) < 2:
        return replace(_POLICY, hits=1, least_s=0.0)
    step = float(np.median(np.diff(times)))
    needed = max(int(_POLICY.least_s / step + 1e-6) + 1, 2 if step < _FEW_S else 1)
    hits = min(_POLICY.hits, len(times), needed)
    if hits == _POLICY.hits:
        return replace(_POLICY, least_s=min(_POLICY.least_s, times[-1] - times[0]))
    least_s = min((hits - 1) * step, _POLICY.least_s)
    return replace(_POLICY, hits=hits, least_s=least_s, pause_s=max(_POLICY.pause_s, 2 * step))


def _square(look: PersonLook, aspect: float) -> Look:
    return Look(
        look.at_s, look.boxes * np.array([aspect, 1, aspect, 1], np.float32), look.scores, look.vectors, look.seen
    )


def _entries(index: int, track: Track, scene: Sequence[PersonLook], aspect: float) -> Iterator[Entry]:
    owner = -1
    for number, row, box, score in zip(track.looks, track.rows, track.boxes, track.scores, strict=True):
        look = scene[number]
        if look.seen:
            owner = int(row)
        corners = np.clip(box / np.array([aspect, 1, aspect, 1]), 0.0, 1.0)
        if corners[2] - corners[0] <= 0 or corners[3] - corners[1] <= 0:
            continue
        entry: Entry = {
            "index": index,
            "ms": look.ms,
            "box": [round(float(value), 6) for value in corners],
            "confidence": round(100 * float(score), 4),
        }
        face = look.faces.get(owner)
        yield entry | ({"face": face} if face else {})

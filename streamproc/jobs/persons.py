"""Person tracking: who is where, each person with one number over the video, with the face where one is seen."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.contracts import Detector
from streamproc.core.faces import DetectedFace
from streamproc.core.media import Picture
from streamproc.jobs.facefacts import face_to, owner_of
from streamproc.jobs.objects import find_objects
from streamproc.jobs.video import Sound, VideoFacts, VideoFrame
from streamproc.logic.boxes import as_boxes
from streamproc.logic.tracker import Tracker, TrackerPolicy

LEAST_A_SECOND = 6
"""Looks a second, at least (the interface promises 5)."""
_LOOK = 960
_POLICY = TrackerPolicy(high=0.45, low=0.12, forget_s=2.0, forget_new_s=0.8)
_HITS = 3
"""A track with fewer sightings, none of them sure, is noise."""
_SURE = 75.0
_BRIDGE_MS = 1000
"""Between two sightings this near each other the person was there too."""

FindFaces = Callable[[Picture], list[DetectedFace]]


def step_of(rate: Fraction, least: int = LEAST_A_SECOND) -> int:
    """Look at every so manieth frame, so that there are at least ``least`` looks a second where there are frames enough."""
    return max(1, int(rate / least))


@dataclass(frozen=True, slots=True)
class PersonOptions:
    """StartPersonTracking has none."""

    faces: bool = True
    """Also find the persons' faces."""


class PersonAnalysis:
    """Follows people from look to look."""

    name = "persons"
    hears = False

    def __init__(self, video: VideoFacts, detectors: Sequence[Detector], find_faces: FindFaces | None) -> None:
        self._step = step_of(video.rate)
        self._detectors = detectors
        self._find_faces = find_faces
        self._tracker = Tracker(_POLICY)
        self._thumb: npt.NDArray[np.uint8] | None = None
        self._rows: list[tuple[int, list[tuple[int, list[float], float, Any]]]] = []

    def wants(self, index: int, at: Fraction) -> bool:
        return index % self._step == 0

    def add(self, frame: VideoFrame) -> None:
        if self._is_cut(frame):
            self._tracker.reset()
        image = frame.picture.bgr(_LOOK, _LOOK)
        people = [each for each in find_objects(self._detectors, image, 5.0) if each.name == "person"]
        scores = np.array([each.confidence / 100 for each in people], np.float32)
        tracked = self._tracker.update(as_boxes([each.box for each in people]), scores, float(frame.at))
        seen = [(track.id, people[track.row]) for track in tracked if track.row is not None]
        faces: dict[int, DetectedFace] = {}
        if seen and self._find_faces is not None:
            for face in reversed(self._find_faces(frame.picture)):
                owner = owner_of(face.face.box, [person.box for _, person in seen])
                if owner is not None:
                    faces[owner] = face
        row = [
            (
                *(number, [round(value, 6) for value in person.box], round(person.confidence, 4)),
                face_to(faces[position]) if position in faces else None,
            )
            for position, (number, person) in enumerate(seen)
        ]
        self._rows.append((frame.milliseconds, row))

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
        return rows or None

    def finish(self) -> None:
        """Nothing is open."""

    def snapshot(self) -> Any:
        return copy.deepcopy(self._tracker), self._thumb

    def restore(self, state: Any) -> None:
        self._tracker, self._thumb = state

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        return {"persons": persons_of([look for part in rows for look in part])}


def persons_of(looks: Sequence[tuple[int, Sequence[tuple[int, list[float], float, Any]]]]) -> list[dict[str, Any]]:
    """Tracks worth telling, numbered 0, 1, 2... by first appearance, with short gaps filled by straight lines.

    ``looks``: (ms, [(track, corners, confidence, face or None)]).
    """
    tracks: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for ms, seen in looks:
        for number, box, confidence, face in seen:
            entry: dict[str, Any] = {"ms": ms, "box": box, "confidence": confidence}
            tracks[number].append(entry | ({"face": face} if face else {}))
    times = [ms for ms, _ in looks]
    told = [
        _filled(items, times)
        for items in tracks.values()
        if max(item["confidence"] for item in items) >= 50
        and (len(items) >= _HITS or max(item["confidence"] for item in items) >= _SURE)
    ]
    told.sort(key=lambda items: (items[0]["ms"], -items[0]["confidence"]))
    return [{"index": index, **item} for index, items in enumerate(told) for item in items]


def _filled(items: Sequence[dict[str, Any]], times: Sequence[int]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for before, after in pairwise(items):
        out.append(before)
        if after["ms"] - before["ms"] > _BRIDGE_MS:
            continue
        for ms in times[_place(times, before["ms"]) + 1 : _place(times, after["ms"])]:
            part = (ms - before["ms"]) / (after["ms"] - before["ms"])
            box = [round(a + (b - a) * part, 6) for a, b in zip(before["box"], after["box"], strict=True)]
            out.append({"ms": ms, "box": box, "confidence": min(before["confidence"], after["confidence"])})
    return [*out, items[-1]]


def _place(times: Sequence[int], ms: int) -> int:
    return int(np.searchsorted(times, ms))

"""JobService on a canned analysis of every kind, so that answers of all shapes come without models."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamproc.core.faces import DetectedFace, FaceMatch, StoredFace
from streamproc.core.vision import Box, Detections, FaceBox, FaceQuality, Pose
from streamproc.jobs.facefacts import face_to, match_to
from streamproc.jobs.model import JobKind
from streamproc.jobs.service import JobLimits, JobService
from streamproc.jobs.sources import Videos
from streamproc.store.database import Database

_MARKS = np.array([[0.45, 0.2], [0.55, 0.2], [0.5, 0.25], [0.46, 0.3], [0.54, 0.3]], np.float32)
_SEEN = DetectedFace(
    FaceBox(Box(0.4, 0.1, 0.6, 0.4), 0.99, _MARKS), FaceQuality(60.0, 80.0, 40.0, Pose(yaw=2.0, pitch=3.0, roll=1.0))
)
FACE = face_to(_SEEN)
_ID = "01234567-89ab-cdef-0123-456789abcdef"
MATCH = match_to(FaceMatch(StoredFace(_ID, _ID, "alice", Box(0.4, 0.1, 0.6, 0.4), 99.0, "1.0"), 95.0))
SPAN = {
    "start_ms": 0,
    "end_ms": 400,
    "start_smpte": "00:00:00:00",
    "end_smpte": "00:00:00:04",
    "duration_smpte": "00:00:00:04",
    "start": 0,
    "end": 4,
    "confidence": 98.0,
}
CAR = {"parents": ["Transportation", "Vehicle"], "aliases": ["Automobile"], "categories": ["Vehicles and Automotive"]}
RESULTS: dict[JobKind, dict[str, Any]] = {
    JobKind.LABELS: {
        "sampled_ms": [0, 500],
        "labels": [
            {
                "ms": ms,
                "name": "Car",
                "confidence": 90.0,
                "entry": CAR,
                "instances": [{"box": [0.1, 0.1, 0.4, 0.4], "confidence": 90.0}],
            }
            for ms in (0, 500)
        ],
    },
    JobKind.SEGMENTS: {"shots": [SPAN, SPAN], "cues": [SPAN | {"type": "BlackFrames"}]},
    JobKind.PERSONS: {
        "persons": [
            {"ms": ms, "index": 0, "confidence": 90.0, "box": [0.1, 0.1, 0.4, 0.9], "face": FACE} for ms in (0, 200)
        ]
    },
    JobKind.FACES: {"faces": [{"ms": ms, "face": FACE} for ms in (0, 200)]},
    JobKind.FACE_SEARCH: {
        "persons": [
            {"ms": ms, "index": 0, "confidence": 90.0, "box": [0.1, 0.1, 0.4, 0.9], "face": FACE, "matches": [MATCH]}
            for ms in (0, 200)
        ]
    },
}


class Canned:
    """Looks at nothing; knows the answer."""

    hears = False

    def __init__(self, kind: JobKind, options: dict[str, Any]) -> None:
        self.name = str(kind)
        self._result = RESULTS[kind]

    def wants(self, index: int, at: Any) -> bool:
        return False

    def add(self, frame: Any) -> None: ...

    def hear(self, sound: Any) -> None: ...

    def take(self) -> Any:
        return None

    def finish(self) -> None: ...

    def snapshot(self) -> Any:
        return None

    def restore(self, state: Any) -> None: ...

    def conclude(self, rows: Any, video: Any, frames: int) -> dict[str, Any]:
        return self._result


def plain_jobs(database: Database, **options: Any) -> JobService:
    """Without workers: call ``open_workers`` to have jobs run."""
    return JobService(
        database, Videos(threads=1), lambda kind, asked, video: Canned(kind, asked), limits=JobLimits(), **options
    )


class PlainZoo:
    """One detector that sees a person in the middle of every picture."""

    name = "yolox_plain"
    names = ("person",)
    input_size = (64, 64)

    def person_detector(self, size: Any) -> PlainZoo:
        return self

    def those_had(self, names: Any) -> list[Any]:
        return []

    def detect(self, image: Any, min_score: float) -> Detections:
        return Detections(
            np.array([[0.25, 0.25, 0.75, 0.75]], np.float32),
            np.array([0.95], np.float32),
            np.array([0], np.int64),
            self.names,
        )

"""The events that docs/events.md shows, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np

from streamproc.aws.results import render_aws
from streamproc.contracts import Delivery, Images
from streamproc.core.event import Event, EventType, Pictures, RegionHit
from streamproc.core.faces import DetectedFace, FaceMatch, FaceSighting, StoredFace
from streamproc.core.media import FragmentMark, Moment
from streamproc.core.records import face_record_data
from streamproc.core.vision import Box, FaceBox, FaceQuality, Pose
from streamproc.plain import render_plain

SESSION = "5d2f6c1e-8a37-4c3b-9a55-0f6f7d1c2b3a"
START = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)
ARN = "arn:aws:rekognition:eu-west-1:123456789012:streamprocessor/front-door"
STREAM = "arn:aws:kinesisvideo:eu-west-1:123456789012:stream/porch/1655930623123"
BUCKET = Images(
    f"s3://home/cams/front-door/{SESSION}/000000-PERSON-frame.jpg",
    f"s3://home/cams/front-door/{SESSION}/000000-PERSON-crop.jpg",
)
CONTEXT = {
    "arn": ARN,
    "tags": {"site": "home"},
    "stream_arn": STREAM,
    "start_request": {
        "Name": "front-door",
        "StartSelector": {"KVSStreamStartSelector": {"ProducerTimestamp": 1777876200000}},
        "StopSelector": {"MaxDurationInSeconds": 120},
    },
}
MARK = FragmentMark("91343852333289682796718532614445757584843717598", START, START + timedelta(milliseconds=310))


def event(kind: EventType, sequence: int, seconds: Fraction | int, **fields: Any) -> Event:
    at = Moment(Fraction(seconds), START + timedelta(seconds=float(seconds)))
    return Event(kind, "front-door", SESSION, sequence, at, **fields)


LABEL = event(
    EventType.LABEL_DETECTED,
    0,
    Fraction(8, 5),
    label="PERSON",
    confidence=97.125,
    box=Box(0.41, 0.2, 0.62, 0.93),
    region=RegionHit("porch", 0.875),
    fragment=MARK,
    offset_s=1.6,
    has_pictures=True,
    data={"evidence": {"samples": 3}, "latency": {"decoded_ms": 9.6, "detected_ms": 78.2, "decided_ms": 78.9}},
)
MATCHED = event(
    EventType.FACE_MATCHED,
    1,
    2,
    person="alice",
    confidence=99.2,
    box=Box(0.47, 0.22, 0.54, 0.35),
    region=RegionHit(None, 1.0),
    has_pictures=True,
)
GAP = event(
    EventType.SOURCE_GAP,
    2,
    Fraction(61, 2),
    data={"reason": "lost", "seconds": 20.5, "detail": "connection refused"},
)
COMPLETE = event(
    EventType.SESSION_COMPLETE,
    3,
    120,
    data={
        "reason": "duration",
        "counts": {"PERSON": 1, "PET": 0, "PACKAGE": 0},
        "persons": ["alice"],
        "duration_s": 120.0,
        "processed_s": 99.5,
        "gaps": [{"reason": "lost", "seconds": 20.5, "media_time_s": 10.0}],
        "message": "2 notifications in 120 s; ended: duration",
    },
)


def _sighting() -> FaceSighting:
    landmarks = np.array([[0.48, 0.26], [0.52, 0.26], [0.5, 0.29], [0.485, 0.32], [0.515, 0.32]], np.float32)
    face = FaceBox(Box(0.47, 0.22, 0.54, 0.35), 0.99, landmarks)
    quality = FaceQuality(74.5, 88.0, 41.0, Pose(yaw=4.5, pitch=-2.0, roll=1.5))
    stored = StoredFace(
        "7f6a1c2e-64b3-4f1d-9f0e-0c3b2a1d4e5f",
        "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9",
        "alice",
        Box(0.3, 0.2, 0.6, 0.7),
        99.75,
        "1.0",
    )
    return FaceSighting(DetectedFace(face, quality), (FaceMatch(stored, 99.2),))


RECORD = event(EventType.FACE_RECORD, 4, 2, fragment=MARK, offset_s=2.0, data=face_record_data([_sighting()]))


def delivery(what: Event, context: dict[str, Any] | None = None) -> Delivery:
    pictures = Pictures(b"", b"") if what.has_pictures else None
    renderers = {"plain": render_plain, "aws": render_aws}
    return Delivery(what, pictures, CONTEXT if context is None else context, BUCKET, renderers)


def documents() -> dict[str, dict[str, Any]]:
    """By the name that docs/events.md gives them."""
    events = {"label_detected": LABEL, "face_matched": MATCHED, "source_gap": GAP, "session_complete": COMPLETE}
    shown = {
        f"plain {name}": delivery(item, {"tags": {"site": "home"}}).document("plain") for name, item in events.items()
    }
    shown["aws label_detected"] = delivery(LABEL).document("aws")
    shown["aws session_complete"] = delivery(COMPLETE).document("aws")
    shown["aws face_record"] = delivery(RECORD).document("aws")
    return shown

"""Faces of stored video: found in a frame, kept as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from streamproc.core.faces import (
    DetectedFace,
    FaceAttributes,
    FaceMatch,
    QualityFilter,
    StoredFace,
    face_confidence,
)
from streamproc.core.media import Picture
from streamproc.core.vision import Box, FaceBox, FaceQuality, Pose

if TYPE_CHECKING:
    from streamproc.faces.reader import FaceReader

LEAST_CONFIDENCE = 50.0


def see_faces(reader: FaceReader, picture: Picture, *, attributes: bool = False) -> list[DetectedFace]:
    """Faces of one frame with their quality, largest first."""
    from streamproc.faces.reader import live_size  # brings the models' libraries; answers are also read without

    size = live_size(picture.width, picture.height)
    found = reader.find_live(picture.bgr(*size), size)
    sure = [face for face in found if face_confidence(face.score) >= LEAST_CONFIDENCE]
    if not sure:
        return []
    image = picture.bgr()
    judged = [reader.judge(image, face, QualityFilter.NONE) for face in sure]
    if not attributes:
        return judged
    return [DetectedFace(each.face, each.quality, reader.attributes(image, each.face)) for each in judged]


def face_to(detected: DetectedFace) -> dict[str, Any]:
    """JSON-ready."""
    face, quality = detected.face, detected.quality
    document: dict[str, Any] = {
        "box": _rounded(face.box),
        "score": round(float(face.score), 6),
        "landmarks": [_rounded(point) for point in face.landmarks],
        "quality": {
            "brightness": round(float(quality.brightness), 4),
            "sharpness": round(float(quality.sharpness), 4),
            "eye_distance_px": round(float(quality.eye_distance_px), 3),
            "pose": [round(float(value), 4) for value in (quality.pose.yaw, quality.pose.pitch, quality.pose.roll)],
        },
    }
    if detected.attributes is not None:
        said = detected.attributes
        document["attributes"] = {
            "age": said.age,
            "male": said.male,
            "emotions": {name: round(float(share), 6) for name, share in said.emotions.items()},
            "landmarks": None if said.landmarks is None else [_rounded(point) for point in said.landmarks],
        }
    return document


def face_from(document: Mapping[str, Any]) -> DetectedFace:
    quality = document["quality"]
    face = FaceBox(Box(*document["box"]), document["score"], np.array(document["landmarks"], np.float32))
    judged = FaceQuality(
        quality["brightness"], quality["sharpness"], quality["eye_distance_px"], Pose(*quality["pose"])
    )
    said = document.get("attributes")
    if said is None:
        return DetectedFace(face, judged)
    points = None if said["landmarks"] is None else np.array(said["landmarks"], np.float32)
    return DetectedFace(face, judged, FaceAttributes(said["age"], said["male"], said["emotions"], points))


def match_to(match: FaceMatch) -> dict[str, Any]:
    """JSON-ready."""
    return {"similarity": round(float(match.similarity), 4), "face": asdict(match.face)}


def match_from(document: Mapping[str, Any]) -> FaceMatch:
    face = dict(document["face"])
    return FaceMatch(StoredFace(**face | {"box": Box(*face["box"])}), document["similarity"])


def owner_of(face: Box, persons: Sequence[Box]) -> int | None:
    """Which person's face it is: the smallest body in whose upper half its middle lies."""
    x, y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    fitting = [
        (body.area, index)
        for index, body in enumerate(persons)
        if body.left <= x <= body.right and body.top - 0.1 * body.height <= y <= body.top + 0.55 * body.height
    ]
    return min(fitting)[1] if fitting else None


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 6) for value in values]

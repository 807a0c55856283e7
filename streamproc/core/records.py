"""What a face search record carries in ``Event.data``: every face of one frame, JSON-ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamproc.core.faces import FaceMatch, FaceSighting, face_confidence
from streamproc.core.vision import Box


def face_record_data(faces: Sequence[FaceSighting]) -> dict[str, Any]:
    """``{"faces": [{box, confidence, landmarks, pose, quality, matches}]}``; boxes are corners, percentages 0..100, degrees."""
    return {"faces": [_face(sighting) for sighting in faces]}


def _face(sighting: FaceSighting) -> dict[str, Any]:
    face, quality = sighting.detected.face, sighting.detected.quality
    return {
        "box": _corners(face.box),
        "confidence": round(face_confidence(face.score), 4),
        "landmarks": [[round(float(x), 6), round(float(y), 6)] for x, y in face.landmarks],
        "pose": {name: round(float(getattr(quality.pose, name)), 4) for name in ("pitch", "roll", "yaw")},
        "quality": {name: round(float(getattr(quality, name)), 4) for name in ("brightness", "sharpness")},
        "matches": [_match(match) for match in sighting.matches],
    }


def _match(match: FaceMatch) -> dict[str, Any]:
    face = match.face
    fields: dict[str, Any] = {
        "similarity": round(float(match.similarity), 4),
        "face_id": face.face_id,
        "image_id": face.image_id,
        "confidence": round(float(face.confidence), 4),
        "box": _corners(face.box),
    }
    if face.external_image_id:
        fields["external_image_id"] = face.external_image_id
    if face.user_id:
        fields["user_id"] = face.user_id
    return fields


def _corners(box: Box) -> list[float]:
    return [round(float(value), 6) for value in box]

"""Faces of events for collections: the part of an event's picture that shows the face, and what an enrolment would do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamproc.core.errors import InputError
from streamproc.core.event import Event, Pictures
from streamproc.core.faces import QualityFilter, StoredFace, face_confidence
from streamproc.faces.audit import Audit, audit
from streamproc.faces.engine import FaceEngine
from streamproc.media import jpeg
from streamproc.media.picture import pixel_rectangle

_MARGIN = 0.6
"""Of the box's size on each side: detectors want to see a whole head, and the face in the middle stays the largest."""
_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Preview:
    """What a collection would be with one more face."""

    now: Audit
    then: Audit
    nearest: tuple[tuple[str, float], ...]
    """Whom the face resembles most as the collection is, with the similarity (0..100)."""


def face_of(event: Event, pictures: Pictures | None) -> bytes:
    """JPEG of the face that an event is about, with some of what is around it. Raises InputError where there is none."""
    if pictures is None or event.box is None:
        raise InputError(f"event {event.id} has no picture of a face (any more)")
    image = jpeg.decode(pictures.frame)
    across, down = event.box.width * _MARGIN, event.box.height * _MARGIN
    left, top, right, bottom = event.box
    height, width = image.shape[:2]
    around = (max(0.0, left - across), max(0.0, top - down), min(1.0, right + across), min(1.0, bottom + down))
    x0, y0, x1, y1 = pixel_rectangle(around, width, height)
    return jpeg.encode(image[y0:y1, x0:x1], _QUALITY)


def preview(engine: FaceEngine, name: str, person: str, data: bytes, threshold: float = 80.0) -> Preview:
    """The audit of a collection as it is, and with the largest face of a picture enrolled as ``person``. Raises NoFace."""
    index = engine.library.open(name)
    image = engine.decode(data)
    found = engine.largest(image, QualityFilter.AUTO)
    vector = engine.reader.embed(image, found.face)
    numbered = engine.store.faces(name)
    faces = [face for _, face in numbered]
    vectors = index.vectors(np.array([number for number, _ in numbered], np.int64))
    more = StoredFace(
        face_id="new",
        image_id="new",
        external_image_id=person,
        box=found.face.box,
        confidence=face_confidence(found.face.score),
        model_version=engine.reader.model_version,
        sharpness=found.quality.sharpness,
        brightness=found.quality.brightness,
        eye_distance_px=found.quality.eye_distance_px,
        yaw=found.quality.pose.yaw,
        pitch=found.quality.pose.pitch,
    )
    now = audit(faces, vectors, index.curve, threshold)[0]
    then = audit([*faces, more], np.vstack([vectors, vector[None]]), index.curve, threshold)[0]
    (people,) = index.people(vector[None], 0.0)
    return Preview(now, then, tuple((each.person, round(each.match.similarity, 2)) for each in people))

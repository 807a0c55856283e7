"""What faces add to the labels of a picture: Face, and where the attribute nets are sure Man, Woman, Adult and Smile. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from streamproc.core.faces import DetectedFace, face_confidence
from streamproc.perception.claims import Claim
from streamproc.perception.taxonomy import Taxonomy
from streamproc.perception.weighing import agreed_faces, holds

_TELLING_EYES_PX = 20.0
_TELLING_YAW = 45.0
_SURE_TRAIT = 75.0
"""Traits that the nets are less sure of are not told, whatever is asked: a coin that is tossed is right half the time too."""
_OF_AGE = 18.0
_AGE_SPREAD = 5.6
"""Standard deviation of the age net's error in years: its authors' mean error of 4.5 (``AgeGender``), taken as of a normal distribution."""


def face_claims(found: Sequence[DetectedFace], bodies: Sequence[Claim], words: Taxonomy) -> list[Claim]:
    """Claims of one picture's faces. ``bodies``: its people and animals, at any confidence.

    A trait is no surer than the face, and has the box of the person whose face it is.
    """
    plain = [Claim("Face", face_confidence(each.face.score), each.face.box) for each in found]
    claims: list[Claim] = []
    for detected, before, face in zip(found, plain, agreed_faces(plain, bodies, words), strict=True):
        claims.append(face)
        agreement = face.confidence / max(before.confidence, 1e-6)
        around = [body for body in bodies if body.label == "Person" and holds(body, face)]
        box = max(around, key=lambda body: body.confidence).box if around else None
        claims += [Claim(name, sure * agreement, box) for name, sure in _traits(detected) if sure >= _SURE_TRAIT]
    return claims


def _traits(detected: DetectedFace) -> Iterator[tuple[str, float]]:
    """Label and confidence (0..100) of a face that is large and frontal enough."""
    said, quality = detected.attributes, detected.quality
    if said is None or quality.eye_distance_px < _TELLING_EYES_PX or abs(quality.pose.yaw) > _TELLING_YAW:
        return
    if said.male is not None:
        yield ("Man" if said.male >= 0.5 else "Woman"), 100 * max(said.male, 1 - said.male)
    if said.age is not None:
        yield "Adult", 50 * (1 + math.erf((said.age - _OF_AGE) / (_AGE_SPREAD * math.sqrt(2))))
    yield "Smile", 100 * said.emotions.get("HAPPY", 0.0)

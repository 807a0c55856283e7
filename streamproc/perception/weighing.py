"""What the claims of one picture say against each other: one body and one vehicle in one box, and faces without a person. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from streamproc.core.vision import Box
from streamproc.logic.boxes import as_boxes, covered, iou
from streamproc.perception.claims import Claim
from streamproc.perception.taxonomy import Taxonomy

_SAME_BODY = 0.5
_SAME_THING = 0.6
"""IoU from which two classes are said of one thing. Things stand in and on each other, bodies seldom do."""
_LONE_FACE = 0.45
"""Part of a face's confidence that is left where nobody's body is seen around it. The face detectors give wall sockets and the fronts of
appliances up to 99.6; under half keeps such a face untold at the default of 50."""
_INSIDE = 0.6
"""Part of a face that has to be inside a body's box."""


def weighed(claims: Sequence[Claim], words: Taxonomy) -> list[Claim]:
    """Where one thing is claimed under two names, the surer one stands.

    The other is there only if that one is not: its confidence is multiplied by the chance of that. People and animals contest a box, and
    so do things of one category (Car and Truck), unless one name is a kind of the other.
    """
    boxes = as_boxes([claim.box or Box(0, 0, 0, 0) for claim in claims])
    overlaps = iou(boxes, boxes)
    found = []
    for row, claim in enumerate(claims):
        rivals = [
            other.confidence / 100
            for column, other in enumerate(claims)
            if other.confidence > claim.confidence and _contest(claim, other, float(overlaps[row, column]), words)
        ]
        found.append(replace(claim, confidence=claim.confidence * math.prod(1 - rival for rival in rivals)))
    return sorted(found, key=lambda each: (-each.confidence, each.label, each.box or ()))


def _contest(a: Claim, b: Claim, overlap: float, words: Taxonomy) -> bool:
    if a.box is None or b.box is None or words.is_a(a.label, b.label) or words.is_a(b.label, a.label):
        return False
    if _living(a.label, words) and _living(b.label, words):
        return overlap > _SAME_BODY
    shared = set(words.labels[a.label].categories) & set(words.labels[b.label].categories)
    return bool(shared) and overlap > _SAME_THING


def _living(name: str, words: Taxonomy) -> bool:
    return name == "Person" or words.is_a(name, "Animal")


def agreed_faces(faces: Sequence[Claim], bodies: Sequence[Claim], words: Taxonomy) -> list[Claim]:
    """Faces with what the bodies around them make of them.

    A face is as sure as its detector where a person is; less without one, and nearly nothing in the box of an animal: a dog's face is none.
    """
    return [replace(face, confidence=face.confidence * _chance(face, bodies, words)) for face in faces]


def _chance(face: Claim, bodies: Sequence[Claim], words: Taxonomy) -> float:
    person = _surest([body for body in bodies if body.label == "Person"], face)
    animal = _surest([body for body in bodies if words.is_a(body.label, "Animal")], face)
    return (_LONE_FACE + (1 - _LONE_FACE) * person) * (1 - animal * (1 - person))


def _surest(bodies: Sequence[Claim], face: Claim) -> float:
    """0..1: the surest of the bodies that hold the face."""
    return max((body.confidence / 100 for body in bodies if holds(body, face)), default=0.0)


def holds(body: Claim, face: Claim) -> bool:
    """Whether the face is inside the body's box."""
    if body.box is None or face.box is None:
        return False
    return float(covered(as_boxes([face.box]), as_boxes([body.box]))[0, 0]) >= _INSIDE

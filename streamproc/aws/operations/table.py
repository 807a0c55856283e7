"""One row for each operation that is served, and what of it is ignored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamproc.aws.core import Core
from streamproc.aws.wire import Call

Operation = Callable[[Core, Call], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Served:
    """How an operation is served."""

    call: Operation
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Input members that are checked and then not used: dotted path, why."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Input members, or values of them, that are answered with an error: dotted path, why."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Output members that are never there: dotted path, why."""
    notes: str = ""
    """What else differs from the service."""


_NO_NET = "no model here tells it"

ABSENT_MEMBERS: dict[str, str] = {
    "FaceDetail.Beard": _NO_NET,
    "FaceDetail.EyeDirection": _NO_NET,
    "FaceDetail.Eyeglasses": _NO_NET,
    "FaceDetail.EyesOpen": _NO_NET,
    "FaceDetail.FaceOccluded": _NO_NET,
    "FaceDetail.Mustache": _NO_NET,
    "FaceDetail.Sunglasses": _NO_NET,
    "ComparedFace.Emotions": "CompareFaces has no attributes to ask for",
    "ComparedFace.Smile": "CompareFaces has no attributes to ask for",
    "UnsuccessfulFaceAssociation.Confidence": "Reasons says that it was too low",
}
"""Members of structures that are never in an answer, wherever the structure is: ``STRUCTURE.MEMBER``, why."""

"""What is told: a first detection, a known or unknown face, a gap, the end of a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from streamproc.core.media import FragmentMark, Moment
from streamproc.core.vision import Box


class EventType(StrEnum):
    """The ``type`` of an event's plain form."""

    LABEL_DETECTED = "label_detected"
    FACE_MATCHED = "face_matched"
    FACE_UNKNOWN = "face_unknown"
    FACE_RECORD = "face_record"
    SOURCE_GAP = "source_gap"
    CAMERA_HEALTH = "camera_health"
    """A condition of the camera itself begins or is over: ``condition``, ``active``, ``measured`` and ``detail`` of ``data``."""
    SESSION_COMPLETE = "session_complete"
    JOB_COMPLETE = "job_complete"
    """A stored-video job ended; ``data["message"]`` is what is published. Its session is the job."""


DETECTIONS = frozenset({EventType.LABEL_DETECTED, EventType.FACE_MATCHED, EventType.FACE_UNKNOWN})
"""Those that tell of something in a picture."""

INLINE_BYTES = 900_000
"""Pictures of an event that travel with its record at most; brokers take 1 MB unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """JPEG bytes that belong to a detection."""

    frame: bytes
    """The hero frame: the whole upright picture."""
    crop: bytes
    """The object, at native resolution."""


@dataclass(frozen=True, slots=True)
class RegionHit:
    """Where an object was, by the user's drawing."""

    name: str | None
    """The region's name; None where no regions are drawn."""
    overlap: float
    """Share of the object's area inside the region, 0..1 (1.0 where no regions are drawn)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell. Its id is its place in its session, so telling it twice is harmless."""

    type: EventType
    processor: str
    session: str
    sequence: int
    """0, 1, 2... within the session, in the order of decision."""
    at: Moment
    """The frame that decided it."""
    label: str | None = None
    """The class (``core.classes``), of a label detection."""
    person: str | None = None
    """Name of a matched face: that of its photograph, or of its user."""
    confidence: float | None = None
    """0..100."""
    box: Box | None = None
    region: RegionHit | None = None
    fragment: FragmentMark | None = None
    offset_s: float = 0.0
    """Seconds from the start of the fragment."""
    has_pictures: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready rest of the type: counts, reason, seconds, evidence, latency, faces..."""

    @property
    def id(self) -> str:
        return f"{self.session}-{self.sequence:06d}"

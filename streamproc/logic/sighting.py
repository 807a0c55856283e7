"""What an analysis found in one frame, in the words in which a session decides about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from streamproc.core.event import EventType, RegionHit
from streamproc.core.media import FragmentMark, Moment
from streamproc.core.vision import Box


@dataclass(frozen=True, slots=True)
class Place:
    """The frame that is being looked at."""

    at: Moment
    fragment: FragmentMark | None = None
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something in view that could be announced: a track of a class, or a face that was decided on."""

    kind: EventType
    """LABEL_DETECTED, FACE_MATCHED or FACE_UNKNOWN."""
    name: str
    """The class; the person; the track of an unknown face."""
    confidence: float
    box: Box
    region: RegionHit | None
    ready: bool
    """Sure enough to be announced. Not ready: only keeps what was announced before in view."""
    data: Mapping[str, Any] = field(default_factory=dict)
    pictures: bool = True
    """Whether pictures of it may be kept."""

    @property
    def key(self) -> str:
        """What is announced once per session."""
        return self.name if self.kind is EventType.LABEL_DETECTED else f"{self.kind.value}:{self.name}"

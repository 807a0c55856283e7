"""Records of what was decided about each frame: the candidates in it, and for each the first gate that refused it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from streamproc.core.vision import Box


class Gate(StrEnum):
    """What may keep a candidate from being announced."""

    MOTION = "motion"
    """Nothing moved, so no model looked."""
    DETECTOR = "detector"
    """The models saw too little of it, or it is of a class that is not asked for."""
    SCORE = "score"
    """Its confidence (of a face: its similarity) is too low."""
    EVIDENCE = "evidence"
    """Too few looks spoke for it, or it was not seen in this very frame."""
    REGION = "region"
    """It is in no region."""
    ANNOUNCED = "announced"
    """The session has announced its class, or its person, already."""
    SCHEDULE = "schedule"
    """It is outside of the hours of the processor or of the region."""
    MASK = "mask"
    """Most of it is behind a privacy mask."""
    CAPACITY = "capacity"
    """The frame was dropped, not asked for while the rate was eased, or slept through."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a candidate was not announced."""

    gate: Gate
    kind: str = ""
    """Which rule of the gate: ``weak`` and ``class`` of DETECTOR, ``samples``, ``unsure`` and ``unseen`` of EVIDENCE, the region's rule of REGION."""
    measured: float | None = None
    threshold: float | None = None
    """In the unit of ``measured``: percent of DETECTOR and SCORE, looks of EVIDENCE, a share (0..1) of REGION and MASK."""
    detail: str = ""
    """The region's name, or when the session announced it (RFC 3339)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One object in one frame that could have been announced."""

    track: int
    """Unique within the feed; 0: it was not followed."""
    label: str
    """The class (``core.classes``), or FACE."""
    score: float
    """Confidence, 0..100."""
    box: Box
    refusal: Refusal | None = None
    """None: it was announced."""
    person: str = ""
    """Of a face that was decided on: the person, or the number of the unknown."""


FACE = "FACE"
"""``Candidate.label`` of faces."""


class Fate(StrEnum):
    """What became of a frame that was due."""

    ANALYSED = "analysed"
    GATED = "gated"
    """No model ran: nothing had changed."""
    DROPPED = "dropped"
    """Thrown away, since a newer one was waiting."""
    RESTING = "resting"
    """Outside of the processor's hours."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame that was due, or several that were dropped together."""

    at: datetime
    """UTC; of the frame."""
    media_s: float
    """Media time in the session, seconds."""
    fate: Fate
    decoded: int = 1
    """Pictures that were decoded since the record before, this one among them."""
    motion: float | None = None
    """Share (0..1) of the picture that had changed since the last analysed one; None: unknown."""
    candidates: tuple[Candidate, ...] = ()
    reason: str = ""
    """Of dropped frames: ``behind`` or ``overflow``."""
    dropped: int = 0
    """How many due frames were dropped with this one."""


class Aspect(StrEnum):
    """What a ``ConditionRecord`` is about."""

    FEED = "feed"
    """``running``, ``asleep`` (idle mode), ``gap``, ``over`` (the session ended, nothing runs)."""
    EASED = "eased"
    """What the governor has taken from the processor, by comma; empty: nothing."""


@dataclass(frozen=True, slots=True)
class ConditionRecord:
    """From here on a condition of the feed is another."""

    at: datetime
    aspect: Aspect
    value: str
    detail: str = ""
    """For people: why."""


Record = FrameRecord | ConditionRecord

"""How a processor stands at this moment: what an output needs that shows states and not only events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Watched:
    """What a processor's document says it looks for."""

    classes: tuple[str, ...] = ()
    """PERSON, PET, PACKAGE; empty where no labels are looked for."""
    faces: bool = False
    regions: tuple[str, ...] = ()
    min_confidence: float | None = None
    """0..100; None where no labels are looked for."""
    profile: str | None = None
    """Which models; None where no labels are looked for."""
    scheduled: bool = False
    """It, or one of its regions, has a schedule."""
    masks: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Corners of what is painted over."""


@dataclass(frozen=True, slots=True)
class Presence:
    """A class that is in view, by the event that announced it."""

    since: datetime
    """Wall time of the frame that decided it."""
    event: str | None = None
    """The event's id; None where the journal keeps it no longer."""
    confidence: float | None = None
    """0..100."""
    region: str | None = None
    """Where it was announced; None where no regions are drawn."""


@dataclass(frozen=True, slots=True)
class LastFace:
    """The face that was decided on last."""

    person: str | None
    """None: nobody of the collection."""
    event: str
    at: datetime
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The feed."""

    state: Literal["idle", "running", "gap", "ended"] = "idle"
    """idle: nothing came yet."""
    why: str = ""
    """What it waits for, for people and without secrets."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Measured values; None where there is none yet."""

    people: int | None = None
    """People in view at this moment."""
    visits: int = 0
    """Sessions that announced something since the processor was started."""
    fps: float | None = None
    """Frames looked at a second."""
    latency_p95_ms: float | None = None
    """From a frame's arrival until its event was durable."""
    cpu_share: float | None = None
    """CPU time of the whole process over the cores it may use, 0..1."""
    waiting: int | None = None
    """Events that this output has not confirmed yet."""
    last_frame: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProcessorStatus:
    """One processor. Made anew whenever something of it changes, and compared by value."""

    processor: str
    state: str
    """stopped, starting, running, stopping or failed."""
    message: str | None = None
    """Why it failed, or why its document was refused."""
    watched: Watched = Watched()
    session: str | None = None
    in_view: Mapping[str, Presence] = field(default_factory=dict)
    """By class. Empty while nothing runs."""
    face: LastFace | None = None
    source: SourceStatus = SourceStatus()
    health: tuple[str, ...] = ()
    """Conditions of the camera that hold: offline, frozen, covered..."""
    figures: Figures = Figures()
    scheduled_on: bool = True
    """False outside its schedule, or while it is paused: nothing is announced."""
    override: str | None = None
    """home, away or pause, where somebody set one; None: the schedule rules."""

    @property
    def runs(self) -> bool:
        return self.state in ("starting", "running")

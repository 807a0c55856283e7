"""What a lane is made of, and the seam through which its decisions become durable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from streamproc.contracts import Position
from streamproc.core.event import Event, Pictures
from streamproc.core.media import Frame
from streamproc.logic.session import Sessions
from streamproc.media import jpeg
from streamproc.pipeline.analysis import Analysis, Look
from streamproc.pipeline.latency import Trail
from streamproc.pipeline.snapshot import LaneState

Decision = tuple[Event, Pictures | None]


class Committer(Protocol):
    """Makes decisions durable. Called by one worker at a time; returns when they are."""

    def commit(self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None) -> None: ...


@dataclass(slots=True)
class LaneSetup:
    """What a lane is made of."""

    name: str
    live: bool
    sessions: Sessions
    analyses: list[Analysis]
    committer: Committer
    waits: bool = False
    """The feed begins when somebody comes (a publisher): its session is not over before that."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What Start asked for, JSON-ready; kept with the state."""
    latency: bool = False
    """Events say how long they took (never in replay)."""
    checkpoints: bool = True
    replayable: bool = True
    """The feed can be read again from a position, and must then decide the same."""
    on_over: Callable[[str | None], None] = lambda error: None
    """Called once from a worker when nothing more will come; with the error where it failed."""
    on_durable: Callable[[Position], None] = lambda position: None
    """The source may tell its broker that everything up to here is safe."""
    watchers: list[Callable[[Frame, list[Look]], None]] = field(default_factory=list)
    """Called after each look, in the worker: overlays. Must be quick."""


def pictures_of(event: Event, frame: Frame) -> Pictures | None:
    """The hero frame and the crop of a detection."""
    if not event.has_pictures or event.box is None:
        return None
    return Pictures(jpeg.encode_frame(frame.picture), jpeg.encode_crop(frame.picture, event.box))


def stamped(event: Event, trail: Trail) -> Event:
    """A detection with how long it took from the frame's capture until it was decoded, detected and decided."""
    if not event.has_pictures:
        return event
    names = {"decode": "decoded_ms", "detect": "detected_ms", "decide": "decided_ms"}
    latency = {name: round(trail.marks[stage] * 1000, 1) for stage, name in names.items()}
    return replace(event, data={**event.data, "latency": latency})

"""Trace of a feed: a record of every frame that was due and of every change of the feed's condition, given to whoever observes."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from streamproc.core.decisions import (
    FACE,
    Aspect,
    Candidate,
    ConditionRecord,
    Fate,
    FrameRecord,
    Gate,
    Record,
    Refusal,
)
from streamproc.core.event import Event, EventType
from streamproc.core.media import Moment
from streamproc.core.vision import Box
from streamproc.logic.sighting import Sighting
from streamproc.pipeline.observers import Observers

if TYPE_CHECKING:
    from streamproc.pipeline.analysis import FrameResult

TraceObserver = Callable[[Record], None]
"""Called in the worker with each record, in the feed's order."""


class FrameTracer:
    """Makes the records of one feed. Without observers it only counts. Used by one thread at a time."""

    def __init__(self) -> None:
        self.observers: Observers[TraceObserver] = Observers()
        self._decoded = 0
        self._asleep = False
        self._conditions: dict[Aspect, tuple[str, str]] = {}

    def decoded(self) -> None:
        """A picture was decoded, due or not."""
        self._decoded += 1

    def analysed(
        self, at: Moment, results: Sequence[FrameResult], events: Sequence[Event], announced: Mapping[str, str]
    ) -> None:
        """A due frame was decided. ``announced``: keys of what the session has announced so far, and when."""
        if not self.observers.all():
            return
        candidates = [each for result in results for each in result.refused]
        told = {(event.type, event.box) for event in events if event.box is not None}
        for result in results:
            for sighting in result.sightings:
                if sighting.ready:
                    candidates.append(_decided(sighting, told, announced))
        known = [result.motion for result in results if result.motion is not None]
        fates = {result.fate for result in results}
        fate = next((each for each in (Fate.ANALYSED, Fate.GATED) if each in fates), Fate.RESTING)
        self._frame(
            FrameRecord(at.wall, at.seconds, fate, motion=max(known, default=None), candidates=tuple(candidates))
        )

    def dropped(self, at: Moment, reason: str, count: int = 1) -> None:
        """Due frames were thrown away; ``at``: the last of them."""
        if self.observers.all():
            self._frame(FrameRecord(at.wall, at.seconds, Fate.DROPPED, reason=reason, dropped=count))

    def condition(self, aspect: Aspect, value: str, detail: str = "", at: datetime | None = None) -> None:
        """A condition holds from ``at`` (left out: now) on; nothing where it did already."""
        if self._conditions.get(aspect) != (value, detail):
            self._conditions[aspect] = value, detail
            self._tell(ConditionRecord(at or datetime.now(UTC), aspect, value, detail))

    def running(self, at: Moment) -> None:
        """A frame was decided. A camera that is asleep stays so: its keyframes are analysed too."""
        if not self._asleep:
            self.condition(Aspect.FEED, "running", at=at.wall)

    def asleep(self, asleep: bool) -> None:
        """Whether idle mode holds packets back, told after each step of the feed."""
        if asleep is not self._asleep:
            self._asleep = asleep
            self.condition(Aspect.FEED, "asleep" if asleep else "running")

    def repeat(self) -> None:
        """Tell the conditions again: somebody observes from now on."""
        for aspect, (value, detail) in self._conditions.items():
            self._tell(ConditionRecord(datetime.now(UTC), aspect, value, detail))

    def _frame(self, record: FrameRecord) -> None:
        counted = replace(record, decoded=self._decoded)
        self._decoded = 0
        self._tell(counted)

    def _tell(self, record: Record) -> None:
        for observer in self.observers.all():
            observer(record)


def _decided(sighting: Sighting, told: Container[tuple[EventType, Box]], announced: Mapping[str, str]) -> Candidate:
    """What became of a sighting that was ready to be announced."""
    face = sighting.kind is not EventType.LABEL_DETECTED
    refusal = None
    if (sighting.kind, sighting.box) not in told:
        refusal = Refusal(Gate.ANNOUNCED, detail=announced.get(sighting.key, ""))
    track = sighting.data.get("evidence", {}).get("track", 0)
    return Candidate(
        track,
        FACE if face else sighting.name,
        sighting.confidence,
        sighting.box,
        refusal,
        sighting.name if face else "",
    )

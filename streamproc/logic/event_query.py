"""Which events somebody asks for. Pure: the store answers the same question from its index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from streamproc.core.event import Event, EventType

FACES = (EventType.FACE_MATCHED.value, EventType.FACE_UNKNOWN.value)


@dataclass(frozen=True, slots=True)
class EventKind:
    """What events are told apart by, time and measured values aside. Few kinds, many events. Empty: the event has none."""

    processor: str
    type: str
    label: str = ""
    """The class."""
    person: str = ""
    region: str = ""
    detail: str = ""
    """Condition or reason, up to its first colon."""

    @property
    def text(self) -> str:
        """What words are looked for in, casefolded."""
        words = (
            self.processor,
            self.type,
            self.type.replace("_", " "),
            self.label,
            self.person,
            self.region,
            self.detail,
        )
        return "\n".join(words).casefold()


def kind_of(event: Event) -> EventKind:
    """The kind of an event."""
    detail = event.data.get("condition") or event.data.get("reason")
    return EventKind(
        event.processor,
        event.type.value,
        event.label or "",
        event.person or "",
        (event.region.name or "") if event.region else "",
        detail.split(":")[0] if isinstance(detail, str) else "",
    )


def document_kind(document: Mapping[str, Any]) -> EventKind:
    """The kind of an event in plain form."""
    detail = document.get("condition") or document.get("reason")
    return EventKind(
        document["processor"],
        document["type"],
        document.get("class") or "",
        document.get("person") or "",
        document.get("region") or "",
        detail.split(":")[0] if isinstance(detail, str) else "",
    )


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What is asked for; what is left out takes everything. Several values of one field: any of them. Face records are never events here."""

    processors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Classes, in capitals."""
    persons: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    since: datetime | None = None
    """Wall time of the event, inclusive."""
    until: datetime | None = None
    """Exclusive."""
    text: str = ""
    """Words that must all occur in processor, type, class, person, region or reason, whatever their case."""
    faces: bool = True
    """False: without events about faces."""

    @property
    def of_every_kind(self) -> bool:
        """Whether only time narrows it."""
        narrowed = self.processors or self.types or self.labels or self.persons or self.regions or self.text.strip()
        return self.faces and not narrowed

    def takes(self, kind: EventKind) -> bool:
        """Whether events of this kind are asked for, at some time."""
        if not self.faces and kind.type in FACES:
            return False
        pairs = (
            (self.processors, kind.processor),
            (self.types, kind.type),
            (self.labels, kind.label),
            (self.persons, kind.person),
            (self.regions, kind.region),
        )
        if any(wanted and value not in wanted for wanted, value in pairs):
            return False
        return all(word in kind.text for word in self.text.casefold().split())

    def matches(self, event: Event) -> bool:
        """Whether this event is asked for."""
        if event.type is EventType.FACE_RECORD or not self.takes(kind_of(event)):
            return False
        at = event.at.wall
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def parse_instant(text: str) -> datetime:
    """An instant as RFC 3339 writes it, or a date (its beginning); UTC where no offset is given. Raises ValueError with the fix."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time; write one such as 2026-11-26T21:14:00Z") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)

"""Events and sessions of a processor ``door``, as they are kept in a journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from streamproc.core.event import Event, EventType, Pictures
from streamproc.core.media import Moment
from streamproc.store.journal import SessionRow

START = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
ALL = frozenset(EventType)
PICTURES = Pictures(b"frame bytes", b"crop bytes")


def label_event(sequence: int, session: str = "s1", **changes: object) -> Event:
    fields: dict[str, object] = {
        "type": EventType.LABEL_DETECTED,
        "processor": "door",
        "session": session,
        "sequence": sequence,
        "at": Moment(Fraction(sequence, 30), START + timedelta(seconds=sequence)),
        "label": "PERSON",
        "confidence": 91.5,
        "has_pictures": True,
    }
    return Event(**(fields | changes))  # type: ignore[arg-type]


def session(name: str = "s1", **changes: object) -> SessionRow:
    return SessionRow(**({"id": name, "processor": "door", "opened": START} | changes))  # type: ignore[arg-type]


def complete(sequence: int, session: str = "s1") -> Event:
    data = {"counts": {"PERSON": 1}, "message": "1 notification", "processed_s": 4.5}
    return label_event(
        sequence, session, type=EventType.SESSION_COMPLETE, label=None, confidence=None, has_pictures=False, data=data
    )

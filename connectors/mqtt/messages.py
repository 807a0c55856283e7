"""An event as a message: on which topic, in which form."""

from __future__ import annotations

from datetime import datetime

from connectors.mqtt.topics import Topics
from streamproc.contracts import Delivery
from streamproc.core.classes import ANNOUNCED
from streamproc.core.event import Event, EventType
from streamproc.core.media import rfc3339
from streamproc.core.status import ProcessorStatus
from streamproc.plain import to_line

DETECTIONS = (*(group.value.lower() for group in ANNOUNCED), "known_face", "unknown_face")
"""``event_type`` of what is seen, as Home Assistant is told them beforehand."""
CAMERA = ("gap", "gap_over", "offline", "frozen", "covered", "defocused", "moved", "low_fps", "clock", "recovered")
"""``event_type`` of what befalls a camera."""

_PLACES = {
    EventType.LABEL_DETECTED: ("event",),
    EventType.FACE_MATCHED: ("event",),
    EventType.FACE_UNKNOWN: ("event",),
    EventType.SOURCE_GAP: ("health", "event"),
    EventType.SESSION_COMPLETE: ("session", "event"),
    EventType.FACE_RECORD: ("record", "event"),
    EventType.JOB_COMPLETE: ("job", "event"),
}


def message(delivery: Delivery, topics: Topics, form: str) -> tuple[str, str]:
    """(topic, payload). The plain form carries ``event_type`` for Home Assistant beside its own keys; ``aws`` is the service's body."""
    event = delivery.event
    # What is not said above befalls the camera itself.
    topic = topics.at(*_PLACES.get(event.type, ("health", "event")))
    document = delivery.document(form)
    if form == "plain":
        document = {"event_type": event_type(event), **document}
    return topic, to_line(document)


def interrupted(
    before: ProcessorStatus | None, status: ProcessorStatus, now: datetime, topics: Topics
) -> tuple[str, str] | None:
    """(topic, payload) where the feed has just begun to be away. The event that the journal has of that comes when it is over, with its length.

    None where it has not, or was away already when it was looked at first.
    """
    if before is None or before.source.state == "gap" or status.source.state != "gap" or not status.runs:
        return None
    reason, _, detail = status.source.why.partition(": ")
    return topics.at("health", "event"), to_line(
        {
            "event_type": "gap",
            "processor": status.processor,
            "session": status.session,
            "time": rfc3339(now),
            "reason": reason,
            "detail": detail,
        }
    )


def event_type(event: Event) -> str:
    """The kind of an event in Home Assistant's sense."""
    match event.type:
        case EventType.LABEL_DETECTED:
            return (event.label or "person").lower()
        case EventType.FACE_MATCHED:
            return "known_face"
        case EventType.FACE_UNKNOWN:
            return "unknown_face"
        case EventType.SOURCE_GAP:
            return "gap_over" if event.data.get("over", True) else "gap"
        case EventType.SESSION_COMPLETE | EventType.FACE_RECORD | EventType.JOB_COMPLETE:
            return event.type.value
    # A condition of the camera: its name while it begins, one word for all when it is over.
    return str(event.data.get("condition", event.type.value)) if event.data.get("active", True) else "recovered"

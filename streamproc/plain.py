"""The plain form of an event: one flat JSON object, the same for every output that does not ask for another form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from streamproc.contracts import NOWHERE, Delivery, Images
from streamproc.core.event import DETECTIONS, Event, EventType
from streamproc.core.media import rfc3339


def render_plain(delivery: Delivery, images: Images) -> dict[str, Any]:
    """A renderer of form ``plain``: the event's document, and the processor's tags where it has any."""
    document = plain_document(delivery.event, images)
    if delivery.context.get("tags"):
        document["tags"] = dict(delivery.context["tags"])
    return document


def plain_document(event: Event, images: Images = NOWHERE) -> dict[str, Any]:
    """Keys in a fixed order: who and when, what was seen, then the rest of ``event.data``."""
    document: dict[str, Any] = {
        "id": event.id,
        "type": event.type.value,
        "processor": event.processor,
        "session": event.session,
        "time": rfc3339(event.at.wall),
        "media_time_s": round(event.at.seconds, 6),
    }
    if event.type in DETECTIONS:
        document |= _detection(event, images)
    if event.fragment is not None:
        document["fragment"] = {"number": event.fragment.number, "offset_s": round(event.offset_s, 6)}
    for key, value in event.data.items():
        document.setdefault(key, _tidy(value))
    return document


def to_line(document: Mapping[str, Any]) -> str:
    """One line of JSON without the line's end: the only way that a document becomes bytes, so equal documents are equal bytes."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


def to_text(event: Event) -> str:
    """The event in one line for people."""
    words = [event.at.wall.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z", event.processor]
    match event.type:
        case EventType.LABEL_DETECTED | EventType.FACE_MATCHED | EventType.FACE_UNKNOWN:
            words.append(event.label or event.person or "unknown face")
            if event.confidence is not None:
                words.append(f"{event.confidence:.1f}%")
            if event.region is not None and event.region.name is not None:
                words.append(f"in {event.region.name} ({event.region.overlap:.0%} inside)")
            words.append(f"at {event.at.seconds:.2f} s")
        case EventType.SOURCE_GAP:
            words.append(f"source gap of {event.data.get('seconds', 0)} s: {event.data.get('reason', '')}")
        case EventType.CAMERA_HEALTH:
            begins = "" if event.data.get("active") else "no longer "
            words.append(f"camera {begins}{event.data.get('condition', '')}: {event.data.get('detail', '')}")
        case EventType.SESSION_COMPLETE:
            counts = ", ".join(f"{name} {number}" for name, number in dict(event.data.get("counts", {})).items())
            words.append(
                f"session complete: {counts or 'nothing counted'}; {event.data.get('message', '')}".rstrip("; ")
            )
        case EventType.FACE_RECORD:
            words.append(f"{len(event.data.get('faces', ()))} faces at {event.at.seconds:.2f} s")
    return "  ".join(words)


def _detection(event: Event, images: Images) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if event.type is EventType.LABEL_DETECTED:
        fields["class"] = event.label
    else:
        fields["person"] = event.person
    fields["confidence"] = None if event.confidence is None else round(event.confidence, 2)
    fields["box"] = None if event.box is None else [round(float(value), 6) for value in event.box.clipped()]
    fields["region"] = event.region.name if event.region else None
    fields["overlap"] = round(event.region.overlap, 4) if event.region else None
    fields["frame"] = images.frame if event.has_pictures else None
    fields["crop"] = images.crop if event.has_pictures else None
    return fields


def _tidy(value: Any) -> Any:
    """Floats rounded to what is worth reading, all the way down."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {str(key): _tidy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tidy(item) for item in value]
    return value

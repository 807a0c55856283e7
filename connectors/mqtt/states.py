"""What is retained on the broker of a processor: every topic and payload, as a pure function of its status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.mqtt.topics import Topics
from streamproc.core.media import rfc3339
from streamproc.core.status import Presence, ProcessorStatus

ON, OFF = "ON", "OFF"
ONLINE, OFFLINE = "online", "offline"


def states(status: ProcessorStatus, topics: Topics) -> dict[str, str]:
    """Payloads by topic, in the order in which they are best sent: what explains a state before the state itself."""
    found: dict[str, str] = {}
    watched = status.watched
    for label in watched.classes:
        _place(found, topics, (label,), status.in_view.get(label))
    for region in watched.regions:
        for label in watched.classes:
            seen = status.in_view.get(label)
            _place(found, topics, ("region", region, label), seen if seen and seen.region == region else None)
    if watched.faces:
        face = status.face
        found[topics.at("face", "attributes")] = to_json(
            {}
            if face is None
            else {"event": face.event, "time": rfc3339(face.at), "confidence": _hundredths(face.confidence)}
        )
        found[topics.at("face", "state")] = "" if face is None else face.person or "unknown"
    found[topics.at("source", "attributes")] = to_json({"state": status.source.state, "reason": status.source.why})
    found[topics.at("source", "state")] = _on(status.runs and status.source.state == "running")
    found[topics.at("problem", "attributes")] = to_json({"state": status.state, "reason": _problem(status)})
    found[topics.at("problem", "state")] = _on(bool(_problem(status)))
    found[topics.at("schedule", "state")] = _on(status.scheduled_on)
    found[topics.at("mode", "state")] = status.override or "schedule"
    if watched.min_confidence is not None:
        found[topics.at("min_confidence", "state")] = f"{watched.min_confidence:g}"
    if watched.profile is not None:
        found[topics.at("profile", "state")] = watched.profile
    found[topics.at("count")] = to_json({"people": status.figures.people or 0, "sessions": status.figures.visits})
    found[topics.at("state")] = _on(status.runs)
    found[topics.at("status")] = ONLINE if status.runs else OFFLINE
    # An empty payload means "not retained": what has no value yet is left out, and removed where it was.
    return {topic: payload for topic, payload in found.items() if payload}


def figures(status: ProcessorStatus, topics: Topics) -> tuple[str, str]:
    """(topic, payload) of what is measured; changes all the time, so it is sent at a pace of its own."""
    measured = status.figures
    return topics.at("stats"), to_json(
        {
            "fps": measured.fps,
            "latency_p95_ms": measured.latency_p95_ms,
            "cpu_percent": None if measured.cpu_share is None else round(100 * measured.cpu_share, 1),
            "outbox_waiting": measured.waiting,
            "last_frame": _time(measured.last_frame),
        }
    )


def _place(found: dict[str, str], topics: Topics, place: tuple[str, ...], seen: Presence | None) -> None:
    attributes: dict[str, Any] = {}
    if seen is not None:
        attributes = {
            "event": seen.event,
            "since": rfc3339(seen.since),
            "confidence": _hundredths(seen.confidence),
            "region": seen.region,
        }
    found[topics.at(*place, "attributes")] = to_json(attributes)
    found[topics.at(*place, "state")] = _on(seen is not None)


def _problem(status: ProcessorStatus) -> str:
    if status.state == "failed":
        return status.message or "failed"
    if status.state == "running" and status.source.state == "gap":
        return status.source.why or "the source gives nothing"
    return ", ".join(status.health) if status.state == "running" else ""


def _on(value: bool) -> str:
    return ON if value else OFF


def _hundredths(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)


def to_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)

"""Events to JSON text and back, without loss: the form in which the journal keeps them."""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np

from streamproc.core.event import Event, EventType, RegionHit
from streamproc.core.media import FragmentMark, Moment
from streamproc.core.vision import Box


def event_to_json(event: Event) -> str:
    """One line. ``event.data`` must be JSON-ready (scalars of numpy pass); TypeError or ValueError (NaN) where it is not."""
    fields: dict[str, Any] = {
        "type": event.type.value,
        "processor": event.processor,
        "session": event.session,
        "sequence": event.sequence,
        "media": str(event.at.media),
        "wall": event.at.wall.isoformat(),
        "has_pictures": event.has_pictures,
        "data": dict(event.data),
    }
    for name in ("label", "person", "confidence"):
        if (value := getattr(event, name)) is not None:
            fields[name] = value
    if event.box is not None:
        fields["box"] = [float(value) for value in event.box]
    if event.region is not None:
        fields["region"] = [event.region.name, event.region.overlap]
    if event.fragment is not None:
        mark = event.fragment
        fields["fragment"] = [mark.number, mark.producer.isoformat(), mark.server.isoformat()]
        fields["offset_s"] = event.offset_s
    return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_scalar)


def _scalar(value: object) -> object:
    """A number of numpy as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")


def event_from_json(text: str) -> Event:
    """The event that ``event_to_json`` wrote."""
    fields = json.loads(text)
    box, region, mark = fields.get("box"), fields.get("region"), fields.get("fragment")
    return Event(
        type=EventType(fields["type"]),
        processor=fields["processor"],
        session=fields["session"],
        sequence=fields["sequence"],
        at=Moment(Fraction(fields["media"]), datetime.fromisoformat(fields["wall"])),
        label=fields.get("label"),
        person=fields.get("person"),
        confidence=fields.get("confidence"),
        box=Box(*box) if box else None,
        region=RegionHit(region[0], region[1]) if region else None,
        fragment=FragmentMark(mark[0], datetime.fromisoformat(mark[1]), datetime.fromisoformat(mark[2]))
        if mark
        else None,
        offset_s=fields.get("offset_s", 0.0),
        has_pictures=fields["has_pictures"],
        data=fields["data"],
    )

"""What goes to the page beside the picture: state, regions, boxes and events, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from streamproc.core.event import Event
from streamproc.core.media import Frame, rfc3339
from streamproc.logic.event_query import FACES
from streamproc.logic.nameless import nameless
from streamproc.pipeline.analysis import FrameResult
from streamproc.plain import plain_document

MAX_WAITING = 200

Rtp = Callable[[datetime], int | None]
"""The RTP timestamp of the picture of an instant, where the listener watches one."""


class Listener:
    """One open page. A page that is too slow misses boxes, never the newest."""

    def __init__(self, rtp_of: Rtp, people: bool = True) -> None:
        """``people``: whether it may know who is seen."""
        self.rtp_of = rtp_of
        self.people = people
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING)

    def looked(self, frame: Frame, looks: list[FrameResult]) -> None:
        """For ``Relay.observers``."""
        document = look_document(frame, looks, self.rtp_of)
        self.put("look", document if self.people else nameless(document))

    def told(self, event: Event) -> None:
        if self.may_see(event):
            self.put("event", self.document(event))

    def may_see(self, event: Event) -> bool:
        return self.people or event.type.value not in FACES

    def document(self, event: Event) -> dict[str, Any]:
        return event_document(event) if self.people else nameless(event_document(event))

    def put(self, kind: str, document: Mapping[str, Any]) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(message(kind, document))

    def end(self) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def next(self) -> bytes | None:
        """None: the box stops."""
        return await self._queue.get()


def message(kind: str, document: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(document, ensure_ascii=False, default=str)}\n\n".encode()


def look_document(frame: Frame, looks: list[FrameResult], rtp_of: Rtp) -> dict[str, Any]:
    """Boxes of what is in view in one frame: [left, top, right, bottom] in 0..1 of the upright picture."""
    boxes = [
        {
            "track": item["track"],
            "label": item["label"],
            "confidence": None if item["confidence"] is None else round(float(item["confidence"]), 1),
            "box": [round(float(value), 4) for value in item["box"].clipped()],
        }
        for look in looks
        for item in look.in_view
        if item.get("box") is not None
    ]
    return {
        "time": rfc3339(frame.at.wall),
        "media_time_s": round(frame.at.seconds, 3),
        "rtp": rtp_of(frame.at.wall),
        "boxes": boxes,
    }


def event_document(event: Event) -> dict[str, Any]:
    """The plain form; ``crop`` is a path on this server."""
    document = plain_document(event)
    for key in ("frame", "crop"):
        if key in document:
            document[key] = f"/watch/{event.processor}/events/{event.id}/{key}" if event.has_pictures else None
    return document

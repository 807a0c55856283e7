"""What an event takes along of the frame that decided it: pictures, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamproc.core.event import Event, Pictures
from streamproc.core.media import Frame
from streamproc.core.vision import Box
from streamproc.media import jpeg
from streamproc.media.blur import blur
from streamproc.media.picture import ArrayPicture
from streamproc.pipeline.latency import Trail


def pictures_of(event: Event, frame: Frame, hidden: Sequence[Box] = ()) -> Pictures | None:
    """The hero frame and the crop of a detection, as JPEG; None for events without pictures."""
    if not event.has_pictures or event.box is None:
        return None
    if hidden:
        blurred = ArrayPicture(blur(frame.picture.bgr(), hidden))
        return Pictures(jpeg.encode_frame(blurred), jpeg.encode_crop(blurred, event.box))
    return Pictures(jpeg.encode_frame(frame.picture), jpeg.encode_crop(frame.picture, event.box))


def stamped(event: Event, trail: Trail) -> Event:
    """A detection with how long it took from the frame's capture until it was decoded, detected and decided."""
    if not event.has_pictures:
        return event
    names = {"decode": "decoded_ms", "detect": "detected_ms", "decide": "decided_ms"}
    latency = {name: round(trail.marks[stage] * 1000, 1) for stage, name in names.items()}
    return replace(event, data={**event.data, "latency": latency})

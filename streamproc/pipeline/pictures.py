"""What an event takes along of the frame that decided it: pictures, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamproc.core.event import Event, Pictures
from streamproc.core.media import Picture
from streamproc.core.vision import Box
from streamproc.media import jpeg
from streamproc.media.blur import blur
from streamproc.media.picture import ArrayPicture
from streamproc.pipeline.latency import Trail
from streamproc.pipeline.recorder import Decision


def with_pictures(
    events: Sequence[Event], picture: Picture, hides: Callable[[Picture], Sequence[Box]]
) -> list[Decision]:
    """Events with the pictures they take along; ``hides``: what of a picture may not be kept, asked for only where one is."""
    if any(event.has_pictures for event in events):
        picture = without(picture, hides(picture))
    return [(event, pictures_of(event, picture)) for event in events]


def without(picture: Picture, hidden: Sequence[Box]) -> Picture:
    """The picture with each of ``hidden`` made unrecognisable; itself where there is nothing to hide."""
    return ArrayPicture(blur(picture.bgr(), hidden)) if hidden else picture


def pictures_of(event: Event, picture: Picture) -> Pictures | None:
    """The hero frame and the crop of a detection, as JPEG; None for events without pictures."""
    if not event.has_pictures or event.box is None:
        return None
    return Pictures(jpeg.encode_frame(picture), jpeg.encode_crop(picture, event.box))


def stamped(event: Event, trail: Trail) -> Event:
    """A detection with how long it took from the frame's capture until it was decoded, detected and decided."""
    if not event.has_pictures:
        return event
    names = {"decode": "decoded_ms", "detect": "detected_ms", "decide": "decided_ms"}
    latency = {name: round(trail.marks[stage] * 1000, 1) for stage, name in names.items()}
    return replace(event, data={**event.data, "latency": latency})

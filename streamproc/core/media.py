"""What a feed is made of: packets, frames, gaps and an end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, BGR, upright."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant of a feed, on two clocks."""

    media: Fraction
    """Seconds since the session's first frame. Goes on across gaps of a live feed; never goes back."""
    wall: datetime
    """UTC. Live: when the frame's last packet arrived. Kafka: producer timestamp plus offset in the fragment."""

    @property
    def seconds(self) -> float:
        """Media time as a float, for display and for rules that do not need exactness."""
        return float(self.media)

    def after(self, seconds: Fraction | float) -> Moment:
        """The moment that many seconds later on both clocks."""
        return Moment(self.media + Fraction(seconds), self.wall + timedelta(seconds=float(seconds)))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(instant: datetime) -> str:
    """``2026-11-21T02:18:00.123456Z``: UTC, always six digits of the second (RFC 3339)."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Picture(Protocol):
    """Pixels of one frame, converted only when somebody looks. All sizes are of the upright picture."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def bgr(self, max_width: int | None = None, max_height: int | None = None) -> Image:
        """The whole picture, shrunk (never enlarged, aspect kept) to fit within the given size. Cached per size."""
        ...

    def luma(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        """(height, width) uint8 grey thumbnail, stretched to exactly that size; cheap."""
        ...

    def crop(self, box: tuple[float, float, float, float]) -> Image:
        """The part within ``box`` (left, top, right, bottom in 0..1, clipped) at native resolution."""
        ...


@dataclass(frozen=True, slots=True)
class FragmentMark:
    """Where in a durable log a frame came from."""

    number: str
    """Fragment number (decimal digits)."""
    producer: datetime
    """Producer timestamp of the fragment's first frame, UTC."""
    server: datetime
    """When the log took the fragment, UTC."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture with its instant."""

    at: Moment
    picture: Picture
    fragment: FragmentMark | None = None
    offset: Fraction = Fraction(0)
    """Seconds from the start of the fragment, where there is one."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What one packet says about its picture before it is decoded."""

    size: int
    """Bytes, without filler data."""
    qp: float | None = None
    """Quantizer of its slices (their mean), where the codec is known and its parameter sets were seen."""
    kind: Literal["I", "P", "B", "b", ""] = ""
    """How its first slice is predicted (b: a B slice that nothing refers to), where known."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded access unit of the video stream, as it came."""

    data: object
    """A ``media.demux.Coded``; opaque outside the media room."""
    at: Moment
    """Presentation instant where known, else arrival. Negative: decode for reference only; do not output."""
    size: int
    keyframe: bool
    fragment: FragmentMark | None = None
    offset: Fraction = Fraction(0)
    ends: bool = False
    """Nothing that follows refers back to it: the decoder is drained after it (end of a fragment, a file, a still picture)."""


class GapReason(StrEnum):
    """Why a feed was interrupted."""

    LOST = "lost"
    STALLED = "stalled"
    REFUSED = "refused"
    CORRUPT = "corrupt"
    SKIPPED = "skipped"
    PUBLISHER_GONE = "publisher_gone"
    TAKEOVER = "takeover"
    """Another node of the cluster goes on with the feed."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The feed was interrupted; trackers reset, nobody invents a picture. Emitted when it is noticed."""

    reason: GapReason
    at: Moment
    """The last instant before the gap."""
    detail: str = ""
    """For people; holds no credentials."""


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """Nothing will follow."""

    reason: str = "end"


StreamItem = Packet | Frame | Gap | EndOfStream

"""Fragments of this node's own video streams, as their readers see them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class FragmentInfo:
    """One fragment of a stream. Times are UTC epoch milliseconds."""

    number: str
    """47 decimal digits, growing as text."""
    producer_ms: int
    """The producer's clock at the cluster's timecode."""
    server_ms: int
    """When its first byte came."""
    duration_ms: int
    size: int
    """Bytes."""


class FragmentReader(Protocol):
    """Reads streams from a thread of the reader's own; every call blocks for at most a second."""

    def has(self, stream: str) -> bool:
        """Whether there is a stream of that name."""
        ...

    def begin(self, stream: str, start: str | Mapping[str, Any]) -> str | None:
        """The number after which to read ("" for all): ``start`` is now, earliest, {"fragment": NUMBER} (that one comes first) or {"timestamp":
        epoch seconds} (the one that holds it comes first). None while there is no such stream."""
        ...

    def next(self, stream: str, after: str, timeout_s: float) -> tuple[FragmentInfo, bytes] | None:
        """The fragment after that number, as a Matroska file of its own; None where none came in time."""
        ...


class RecordedVideo(Protocol):
    """What streams hold, for whoever reads a part of one once. Belongs to the event loop."""

    async def span(self, stream: str) -> tuple[int, int] | None:
        """(begin of the first fragment, end of the last), UTC epoch milliseconds; None where there is no video of that name."""
        ...

    async def fragments(self, stream: str, begins_ms: int, ends_ms: int) -> Sequence[FragmentInfo]:
        """Fragments that hold something of that time, in order."""
        ...

    async def read(self, stream: str, number: str) -> bytes | None:
        """A fragment as a Matroska file of its own; None where it is gone. Raises StreamprocError while the store is away."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fragment that was cut out of a feed."""

    begins: datetime
    """Wall time of its first frame."""
    duration_ms: int
    data: bytes
    """A Matroska file of its own, its Segment of unknown size."""


class FragmentWriter(Protocol):
    """Keeps recordings, from a thread of the writer's own."""

    def keep(self, stream: str, keep_ms: int, *, unmasked: bool = False) -> None:
        """Make the stream where it is missing; its fragments are kept for so long from now on. ``unmasked``: it says so of itself, for it may
        show what the camera's masks cover. Raises StreamprocError."""
        ...

    def append(self, stream: str, fragment: Recorded, give_up: threading.Event) -> None:
        """Returns when it is durable; waits for a store that is away, until ``give_up`` is set. Raises StreamprocError where it was not kept."""
        ...

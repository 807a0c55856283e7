"""State of a lane: a typed document with a version, and its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from streamproc.contracts import Position
from streamproc.logic.session import SessionsState
from streamproc.logic.state_codec import pack, unpack_any
from streamproc.logic.structure import from_document, to_document
from streamproc.logic.versions import Versions

KIND = "lane"
VERSIONS = Versions("the state of a lane", 2)
"""Version 1 was a pickle; it is never read."""


@dataclass(frozen=True, slots=True)
class LaneSnapshot:
    """What a lane needs, beside the place in its source, to go on after a restart."""

    sessions: SessionsState | None
    """None: no session is open, only the place in a backlog is kept."""
    after: Fraction | None = None
    """Media time, by the source's clock, of the last frame that was decided."""
    shift: Fraction | None = Fraction(0)
    """From the source's media time to the session's; None: not known."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What the run was started with; the caller's own, plain."""
    analyses: list[Any] = field(default_factory=list)
    """State of each analysis; empty where the feed cannot be read again, so that trackers begin anew after a gap."""

    def encode(self) -> bytes:
        return pack(KIND, VERSIONS.newest, to_document(self))

    @classmethod
    def decode(cls, data: bytes) -> LaneSnapshot:
        """Raises StateDamaged or StateVersionUnknown."""
        version, document = unpack_any(data, KIND)
        return from_document(cls, VERSIONS.raised(document, version))


def lowered(data: bytes, version: int) -> bytes:
    """What ``LaneSnapshot.encode`` gave, for who reads no newer version. Raises StateError where it is none of the newest."""
    found, document = unpack_any(data, KIND)
    return pack(KIND, *VERSIONS.lowered(VERSIONS.raised(document, found), version))


@dataclass(frozen=True, slots=True)
class LaneState:
    """Snapshot of a lane and the place in its source, of one instant.

    The position may lie before ``snapshot.after``: frames in between are decoded again on resume, but not analysed.
    """

    snapshot: LaneSnapshot
    position: Position | None

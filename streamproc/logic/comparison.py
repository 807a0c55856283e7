"""What changed between two replays of the same video: which detections appear, vanish, or come at another time or place. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.logic.event_query import parse_instant

COMPARED = ("label_detected", "face_matched", "face_unknown")
TOLERANCE_S = 1.0
FAR_S = 30.0
"""A detection that comes later or earlier than that is another one."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One detection."""

    clip: str
    """Which video; only detections of one are compared."""
    type: str
    what: str
    """Class or person."""
    region: str
    at: float
    """Seconds, on a clock that both replays share."""
    document: Mapping[str, Any]
    """The event in plain form."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Each of the replays' detections is in exactly one place."""

    same: Sequence[tuple[Announcement, Announcement]]
    moves: Sequence[tuple[Announcement, Announcement]]
    """(before, after): the same class or person, but at another time or in another region."""
    vanishes: Sequence[Announcement]
    appears: Sequence[Announcement]

    @property
    def equal(self) -> bool:
        return not (self.moves or self.vanishes or self.appears)


def told(document: Mapping[str, Any], clip: str = "") -> Announcement | None:
    """A detection of its plain form, by its wall time; None for events that are no detections."""
    if document.get("type") not in COMPARED:
        return None
    what = document.get("class") or document.get("person") or ""
    at = parse_instant(document["time"]).timestamp()
    return Announcement(clip, document["type"], what, document.get("region") or "", at, document)


def compare(
    before: Sequence[Announcement], after: Sequence[Announcement], tolerance_s: float = TOLERANCE_S
) -> Comparison:
    """Match detections one to one: the nearest in time first; what agrees in everything before what has moved."""
    old, new = list(before), list(after)
    same = _pairs(old, new, lambda one, other: one.region == other.region, tolerance_s)
    elsewhere = _pairs(old, new, lambda one, other: True, tolerance_s)
    later = _pairs(old, new, lambda one, other: True, max(FAR_S, tolerance_s))
    return Comparison(
        same=same, moves=sorted([*elsewhere, *later], key=lambda pair: _order(pair[1])), vanishes=old, appears=new
    )


def _pairs(
    old: list[Announcement],
    new: list[Announcement],
    agree: Callable[[Announcement, Announcement], bool],
    within_s: float,
) -> list[tuple[Announcement, Announcement]]:
    """Take pairs out of both lists."""
    possible = [
        (abs(one.at - other.at), one.at, first, second)
        for first, one in enumerate(old)
        for second, other in enumerate(new)
        if (one.clip, one.type, one.what) == (other.clip, other.type, other.what)
        and abs(one.at - other.at) <= within_s
        and agree(one, other)
    ]
    taken: dict[int, int] = {}
    used: set[int] = set()
    for _, _, first, second in sorted(possible):
        if first not in taken and second not in used:
            taken[first] = second
            used.add(second)
    pairs = [(old[first], new[second]) for first, second in sorted(taken.items())]
    old[:] = [one for index, one in enumerate(old) if index not in taken]
    new[:] = [other for index, other in enumerate(new) if index not in used]
    return pairs


def _order(each: Announcement) -> tuple[str, float]:
    return each.clip, each.at

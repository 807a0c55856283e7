"""In which form state is written into a cluster's log: the newest that every node which lives can read.

So nodes of two versions take over from one another while they are updated one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from streamproc.live.resume import lowered_snapshot
from streamproc.store.takeover import LaneRecord


@dataclass(frozen=True, slots=True)
class Format:
    """Versions of the two documents that a lane's record is made of."""

    record: int
    snapshot: int


FORMATS: Mapping[int, Format] = {1: Format(record=1, snapshot=2)}
"""By the number that nodes tell one another. Whoever raises one of the two versions adds a row."""


def newest() -> int:
    """The format that this node can read and writes where all others can."""
    return max(FORMATS)


def agreed(others: Iterable[int]) -> int:
    """The newest that this node knows and none of the others is too old for; the oldest it knows where there is none."""
    return max(min(FORMATS), min([newest(), *others]))


def written(lane: LaneRecord, number: int) -> bytes:
    """A lane's record in that format."""
    form = FORMATS[number]
    checkpoint = lane.checkpoint
    if number < newest() and checkpoint is not None and checkpoint.snapshot is not None:
        checkpoint = replace(checkpoint, snapshot=lowered_snapshot(checkpoint.snapshot, form.snapshot))
        lane = replace(lane, checkpoint=checkpoint)
    return lane.encode(form.record)

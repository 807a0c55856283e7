"""From a start selector to offsets: a fragment number by search, a producer timestamp by the broker's time index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from connectors.kafka.log import Record, TopicLog
from connectors.starts import FragmentStart, TimestampStart

LOOK_BACK = 32
"""Offsets that are looked at first for the fragment before an instant; doubled until one is found."""

MAX_LOOKS = 2000
"""How many offsets are looked at one by one for a fragment that the search did not find."""

Ours = Callable[[Record], bool]


@dataclass(frozen=True, slots=True)
class StartPlace:
    """Where reading begins."""

    offsets: dict[int, int]
    """By partition."""
    not_before: datetime | None = None
    """Fragments that end before this are passed over."""


async def resolve(log: TopicLog, start: str | FragmentStart | TimestampStart, ours: Ours) -> StartPlace:
    """Offsets of every partition for a start selector; ``ours`` tells the feed's messages from others of the topic."""
    partitions = await log.partitions()
    bounds = await log.bounds(partitions)
    if isinstance(start, FragmentStart):
        return StartPlace({p: await _by_number(log, p, bounds[p], int(start.fragment), ours) for p in partitions})
    if isinstance(start, TimestampStart):
        found = await log.at_time(partitions, start.instant)
        offsets = {}
        for partition in partitions:
            begin, end = bounds[partition]
            at = found[partition]
            offsets[partition] = await _holding(log, partition, (begin, end if at is None else at), start.instant, ours)
        return StartPlace(offsets, start.instant)
    return StartPlace({p: bounds[p][0 if start == "earliest" else 1] for p in partitions})


async def _by_number(log: TopicLog, partition: int, bounds: tuple[int, int], wanted: int, ours: Ours) -> int:
    """The offset of fragment ``wanted``; of the next larger one where it is gone, the end where it is still to come."""
    low, high = bounds
    while low < high:
        middle = (low + high) // 2
        record = await _next(log, partition, middle, high, ours)
        if record is None or int(record.number) > wanted:
            high = middle
        elif int(record.number) == wanted:
            return record.offset
        else:
            low = record.offset + 1
    exact = await _exactly(log, partition, bounds, wanted, ours)
    return low if exact is None else exact


async def _exactly(log: TopicLog, partition: int, bounds: tuple[int, int], wanted: int, ours: Ours) -> int | None:
    """By looking at all of the youngest: a producer may have begun to count anew."""
    end = bounds[1]
    offset = max(bounds[0], end - MAX_LOOKS)
    while (record := await _next(log, partition, offset, end, ours)) is not None:
        if int(record.number) == wanted:
            return record.offset
        offset = record.offset + 1
    return None


async def _holding(log: TopicLog, partition: int, bounds: tuple[int, int], when: datetime, ours: Ours) -> int:
    """The offset of the last fragment before ``bounds``' end: the instant may lie within it."""
    begin, end = bounds
    span, last = LOOK_BACK, end
    while last > begin:
        first = max(begin, end - span)
        found: Record | None = None
        offset = first
        while (record := await _next(log, partition, offset, last, ours)) is not None:
            found, offset = record, record.offset + 1
        if found is not None:
            # A producer timestamp that is later than its record's own: only reading from the start finds the place.
            return found.offset if found.producer <= when else begin
        span, last = span * 2, first
    return end


async def _next(log: TopicLog, partition: int, offset: int, end: int, ours: Ours) -> Record | None:
    """The feed's first record in [offset, end)."""
    while offset < end:
        record = await log.one(partition, offset, end)
        if record is None or ours(record):
            return record
        offset = record.offset + 1
    return None

"""Blocks of decision records: a header, then columns of small numbers as deflated JSON. Pure.

A block stands for itself: it names the conditions that held when it began, and its header has a checksum and the span of time, so that
a reader skips what it does not need, and what is torn.

    magic    4 bytes, ``SPT1``
    length   4 bytes, of the body
    crc      4 bytes, CRC-32 of the body
    from, to 8 bytes each, milliseconds since 1970, of the earliest and the latest record
    body     deflated JSON
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from streamproc.core.decisions import Aspect, Candidate, ConditionRecord, Fate, FrameRecord, Gate, Record, Refusal
from streamproc.core.media import EPOCH
from streamproc.core.vision import Box

HEADER = struct.Struct(">4sIIqq")
_MAGIC = b"SPT1"
_GRID = 1000
"""Boxes are kept in thousandths of the frame, scores in tenths of a percent."""
_FATES = tuple(Fate)
_MOST_BODY = 16_000_000
"""Bytes. A length above this is no length: the header is torn."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a block says before it is inflated."""

    start: datetime
    end: datetime
    length: int
    """Of the body, bytes."""
    crc: int


def encode(records: Sequence[Record], conditions: Sequence[ConditionRecord]) -> bytes:
    """A block of records in the feed's order (at least one). ``conditions``: those that held before the first."""
    times = [_ms(record.at) for record in records]
    start = times[0]
    frames = [record for record in records if isinstance(record, FrameRecord)]
    body = {
        "start": start,
        "before": [_condition(each, start) for each in conditions],
        "conditions": [_condition(each, start) for each in records if isinstance(each, ConditionRecord)],
        "frames": _frames(frames, start),
        "candidates": _candidates(frames),
    }
    packed = zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 6)
    return HEADER.pack(_MAGIC, len(packed), zlib.crc32(packed), min(times), max(times)) + packed


def read_header(data: bytes) -> Header | None:
    """None: no block begins here."""
    if len(data) < HEADER.size:
        return None
    magic, length, crc, start, end = HEADER.unpack_from(data)
    if magic != _MAGIC or length > _MOST_BODY:
        return None
    try:
        return Header(_instant(start), _instant(end), length, crc)
    except OverflowError:
        return None


def decode(header: Header, body: bytes) -> tuple[list[ConditionRecord], list[Record]] | None:
    """Conditions that held before, and the records in order of time; None: the block is torn."""
    if len(body) != header.length or zlib.crc32(body) != header.crc:
        return None
    try:
        document = json.loads(zlib.decompress(body))
        start = document["start"]
        records: list[Record] = [*_read_frames(document, start)]
        records += [_read_condition(each, start) for each in document["conditions"]]
        return [_read_condition(each, start) for each in document["before"]], sorted(records, key=lambda each: each.at)
    except (ValueError, KeyError, IndexError, TypeError, zlib.error):
        return None


def next_block(data: bytes, after: int) -> int:
    """Where the next block may begin behind a torn one; the length of ``data`` where none does."""
    found = data.find(_MAGIC, after)
    return found if found >= 0 else len(data)


# -- columns


def _frames(frames: Sequence[FrameRecord], start: int) -> dict[str, Any]:
    return {
        "at": _deltas([_ms(frame.at) for frame in frames], start),
        "media": _deltas([round(frame.media_s * 1000) for frame in frames], 0),
        "fate": [_FATES.index(frame.fate) for frame in frames],
        "decoded": [frame.decoded for frame in frames],
        "motion": [-1 if frame.motion is None else round(frame.motion * 1_000_000) for frame in frames],
        "dropped": {str(i): [frame.reason, frame.dropped] for i, frame in enumerate(frames) if frame.dropped},
        "candidates": [len(frame.candidates) for frame in frames],
    }


def _candidates(frames: Sequence[FrameRecord]) -> dict[str, Any]:
    found = [candidate for frame in frames for candidate in frame.candidates]
    labels = sorted({each.label for each in found})
    reasons: dict[tuple[Any, ...], int] = {}
    for each in found:
        reasons.setdefault(_reason(each.refusal, each.person), len(reasons))
    boxes = [[round(value * _GRID) for value in each.box] for each in found]
    return {
        "labels": labels,
        "reasons": list(reasons),
        "track": [each.track for each in found],
        "label": [labels.index(each.label) for each in found],
        "score": [round(each.score * 10) for each in found],
        "box": [_deltas(list(side), 0) for side in zip(*boxes, strict=True)],
        "reason": [reasons[_reason(each.refusal, each.person)] for each in found],
        "measured": [
            None if each.refusal is None or each.refusal.measured is None else round(each.refusal.measured, 3)
            for each in found
        ],
    }


def _reason(refusal: Refusal | None, person: str) -> tuple[Any, ...]:
    """What many candidates have in common."""
    if refusal is None:
        return (None, "", None, "", person)
    threshold = None if refusal.threshold is None else round(refusal.threshold, 4)
    return (refusal.gate.value, refusal.kind, threshold, refusal.detail, person)


def _read_frames(document: dict[str, Any], start: int) -> Iterator[FrameRecord]:
    columns, rest = document["frames"], _read_candidates(document["candidates"])
    media = _sums(columns["media"], 0)
    for index, at in enumerate(_sums(columns["at"], start)):
        motion, dropped = columns["motion"][index], columns["dropped"].get(str(index), ["", 0])
        yield FrameRecord(
            _instant(at),
            media[index] / 1000,
            _FATES[columns["fate"][index]],
            columns["decoded"][index],
            None if motion < 0 else motion / 1_000_000,
            tuple(next(rest) for _ in range(columns["candidates"][index])),
            dropped[0],
            dropped[1],
        )


def _read_candidates(columns: dict[str, Any]) -> Iterator[Candidate]:
    sides = [_sums(side, 0) for side in columns["box"]]
    for index, track in enumerate(columns["track"]):
        gate, kind, threshold, detail, person = columns["reasons"][columns["reason"][index]]
        refusal = None
        if gate is not None:
            refusal = Refusal(Gate(gate), kind, columns["measured"][index], threshold, detail)
        yield Candidate(
            track,
            columns["labels"][columns["label"][index]],
            columns["score"][index] / 10,
            Box(*(side[index] / _GRID for side in sides)),
            refusal,
            person,
        )


def _condition(record: ConditionRecord, start: int) -> list[Any]:
    return [_ms(record.at) - start, record.aspect.value, record.value, record.detail]


def _read_condition(row: list[Any], start: int) -> ConditionRecord:
    return ConditionRecord(_instant(start + row[0]), Aspect(row[1]), row[2], row[3])


def _deltas(values: Sequence[int], start: int) -> list[int]:
    return [value - before for value, before in zip(values, [start, *values], strict=False)]


def _sums(deltas: Sequence[int], start: int) -> list[int]:
    found = []
    for delta in deltas:
        start += delta
        found.append(start)
    return found


def _ms(instant: datetime) -> int:
    return round((instant - EPOCH) / timedelta(milliseconds=1))


def _instant(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)

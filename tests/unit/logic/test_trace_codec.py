"""Blocks of decision records: what goes in comes out, what is torn is skipped."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from streamproc.core.decisions import Aspect, Candidate, ConditionRecord, Fate, FrameRecord, Gate, Record, Refusal
from streamproc.core.media import EPOCH
from streamproc.core.vision import Box
from streamproc.logic.trace_codec import HEADER, decode, encode, read_header
from tests.builders.traces import busy_minute, outside

ASLEEP = ConditionRecord(EPOCH, Aspect.FEED, "asleep", "nothing moves")


def read(block: bytes) -> tuple[list[ConditionRecord], list[Record]] | None:
    header = read_header(block)
    assert header is not None
    return decode(header, block[HEADER.size :])


def test_every_kind_of_record_comes_back() -> None:
    records: list[Record] = [
        FrameRecord(EPOCH, 0.0, Fate.GATED, 3, None),
        ConditionRecord(EPOCH + timedelta(seconds=1), Aspect.FEED, "gap", "lost: reset"),
        FrameRecord(EPOCH + timedelta(seconds=2), 2.0, Fate.DROPPED, reason="behind", dropped=4),
        FrameRecord(
            EPOCH + timedelta(seconds=3),
            3.0,
            Fate.ANALYSED,
            1,
            0.25,
            (
                Candidate(9, "FACE", 88.5, Box(-0.1, 0.0, 1.2, 1.0), None, "ann"),
                Candidate(0, "PET", 12.5, Box(0.1, 0.2, 0.3, 0.4), Refusal(Gate.DETECTOR, "weak", 12.5, 30.0)),
                Candidate(4, "PERSON", 70.0, Box(0.1, 0.2, 0.3, 0.4), outside(0.125)),
            ),
        ),
    ]
    assert read(encode(records, [ASLEEP])) == ([ASLEEP], records)


def test_a_busy_minute_is_a_few_kilobytes() -> None:
    assert len(encode(busy_minute(), [])) < 10_000


@pytest.mark.parametrize("seed", range(40))
def test_a_block_with_any_byte_changed_or_cut_is_refused_and_never_raises(seed: int) -> None:
    chance = random.Random(seed)
    block = bytearray(encode(busy_minute()[:20], [ASLEEP]))
    at = chance.randrange(len(block))
    block[at] ^= 1 << chance.randrange(8)
    for damaged in (bytes(block), bytes(block)[: chance.randrange(len(block))]):
        header = read_header(damaged)
        in_time = 12 <= at < HEADER.size and damaged == bytes(
            block
        )  # the span has no checksum: it only says what to read
        assert header is None or in_time or decode(header, damaged[HEADER.size :]) is None

"""The ring on disk: restarts, torn blocks, the quota, names."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from streamproc.core.decisions import Aspect, ConditionRecord, Fate, FrameRecord, Record
from streamproc.core.media import EPOCH
from streamproc.store.trace_ring import SEGMENT_BYTES, TraceRing
from tests.builders.traces import busy_minute

RUNNING = ConditionRecord(EPOCH, Aspect.FEED, "running")
QUOTA = 10_000_000


def second(number: float) -> datetime:
    return EPOCH + timedelta(seconds=number)


def frames(start: int, count: int = 5) -> list[Record]:
    return [FrameRecord(second(start + n), float(start + n), Fate.GATED, 5, 0.0) for n in range(count)]


def times(records: list[Record]) -> list[float]:
    return sorted((record.at - EPOCH).total_seconds() for record in records)


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    TraceRing(tmp_path, QUOTA).append("door", frames(0), [])
    again = TraceRing(tmp_path, QUOTA)
    again.append("door", frames(10), [RUNNING])
    conditions, records = again.read("door", second(10), second(12))
    assert times(records) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]  # the block before tells what held
    assert conditions == [RUNNING]
    assert again.read("porch", second(0), second(99)) == ([], [])


def test_a_torn_block_is_skipped_and_those_about_it_are_read(tmp_path: Path) -> None:
    ring = TraceRing(tmp_path, QUOTA)
    sizes = [ring.append("door", frames(10 * number), []) for number in range(3)]
    (segment,) = tmp_path.rglob("*.trace")
    data = bytearray(segment.read_bytes())
    data[sizes[0] + 40] ^= 0xFF  # in the body of the second
    segment.write_bytes(data)
    assert times(ring.read("door", second(0), second(99))[1]) == [0, 1, 2, 3, 4, 20, 21, 22, 23, 24]
    data[sizes[0]] ^= 0xFF  # its header too
    segment.write_bytes(data)
    assert times(ring.read("door", second(0), second(99))[1]) == [0, 1, 2, 3, 4, 20, 21, 22, 23, 24]
    segment.write_bytes(data[:-7])  # killed while the last was written
    assert times(ring.read("door", second(0), second(99))[1]) == [0, 1, 2, 3, 4]
    TraceRing(tmp_path, QUOTA).append("door", frames(30), [])
    assert times(ring.read("door", second(0), second(99))[1]) == [0, 1, 2, 3, 4, 30, 31, 32, 33, 34]


def test_the_oldest_of_all_processors_is_overwritten(tmp_path: Path) -> None:
    ring = TraceRing(tmp_path, 3 * SEGMENT_BYTES)
    ring.append("quiet", frames(0), [])
    records = busy_minute()
    written = 0
    while written < 6 * SEGMENT_BYTES:
        written += ring.append("busy", records, [])
    used = sum(path.stat().st_size for path in tmp_path.rglob("*.trace"))
    assert used <= 3 * SEGMENT_BYTES + 20_000 and used > SEGMENT_BYTES
    assert ring.read("quiet", second(0), second(9)) == ([], [])
    assert ring.read("busy", second(0), second(9))[1]


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    ring = TraceRing(tmp_path / "explain", QUOTA)
    ring.append("..", frames(0), [])
    assert [path.parent.parent for path in tmp_path.rglob("*.trace")] == [tmp_path / "explain"]
    ring.forget("..")
    assert not list(tmp_path.rglob("*.trace")) and (tmp_path / "explain").is_dir()

"""What keeping a trace of decisions costs, beside the pipeline that makes them.

    python -m benchmarks.explain [--repeat 2] [--corpus DIR] [--json]

Every clip of the corpus is played into a live lane as fast as it is analysed, with and without a trace in turn; CPU is that of the thread, decoding and
inference included. ``trace_cpu`` is measured directly, within the run with a trace: making the records, packing them into blocks of 5 s and writing them.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, cast

from benchmarks.camera_ours import box_config
from benchmarks.camera_throughput import make_lane, offer
from benchmarks.cameras import Load
from benchmarks.common import parser, prepared, progress, report
from streamproc.core.media import EndOfStream
from streamproc.live.patience import PatientJournal
from streamproc.live.tracing import FLUSH_S, TraceBuffer
from streamproc.media.reader import read_packets
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.lane import Lane
from streamproc.store.database import Database
from streamproc.store.journal import Journal
from streamproc.store.trace_ring import TraceRing


class Traced:
    """A lane's trace with a stop-watch."""

    def __init__(self, lane: Lane, ring: TraceRing) -> None:
        self.cpu_s = 0.0
        self.written = 0
        self._ring, self._buffer, self._lane = ring, TraceBuffer(), lane
        lane.frames.trace.observers.add(self._buffer.take)
        made = lane.frames.trace.analysed

        def timed(*given: Any) -> None:
            began = time.thread_time()
            made(*given)
            self.cpu_s += time.thread_time() - began

        lane.frames.trace.analysed = cast(Any, timed)  # type: ignore[method-assign]

    def flush(self) -> None:
        began = time.thread_time()
        records, before = self._buffer.drain()
        if records:
            self.written += self._ring.append(self._lane.name, records, before)
        self.cpu_s += time.thread_time() - began


def played(clip: Path, services: tuple[ModelProvider, PatientJournal], ring: TraceRing | None) -> dict[str, float]:
    """One clip, once. ``ring``: where its trace goes; None: there is none."""
    load = Load("streamproc", (str(clip),), 1, 1.0, gate=True, idle=False)
    lane = make_lane(load, f"{clip.stem}-{time.monotonic_ns()}", 0, *services)  # a session of its own
    traced = Traced(lane, ring) if ring is not None else None
    packets = list(read_packets(clip))
    began, flushed = time.thread_time(), packets[0].at.media
    for packet in packets:
        offer(lane, packet)
        if traced is not None and packet.at.media - flushed >= FLUSH_S:
            traced.flush()
            flushed = packet.at.media
    lane.offer(EndOfStream(), None, threading.Event())
    while lane.urgency() is not None:
        lane.step()
    if traced is not None:
        traced.flush()
    cpu = time.thread_time() - began
    seconds = float(packets[-1].at.media - packets[0].at.media)
    return {
        "cpu_s": cpu,
        "seconds": seconds,
        "trace_cpu_s": traced.cpu_s if traced is not None else 0.0,
        "bytes": float(traced.written) if traced is not None else 0.0,
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--repeat", type=int, default=2)
    options = prepared(made.parse_args())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        load = Load("streamproc", (), 1, 1.0, gate=True, idle=False)
        provider, database = ModelProvider(box_config(load), Path(folder), workers=1), Database(Path(folder) / "data")
        services, ring = (provider, PatientJournal(Journal(database))), TraceRing(Path(folder) / "explain", 500_000_000)
        for clip in sorted((options.corpus / "video").glob("*.m*")):
            progress(clip.name)
            turns = [(played(clip, services, None), played(clip, services, ring)) for _ in range(options.repeat)]
            with_trace = turns[-1][1]
            rows.append(
                {
                    "clip": clip.stem,
                    "without_cpu_s": round(statistics.median(bare["cpu_s"] for bare, _ in turns), 3),
                    "with_cpu_s": round(statistics.median(traced["cpu_s"] for _, traced in turns), 3),
                    "trace_cpu_s": round(statistics.median(traced["trace_cpu_s"] for _, traced in turns), 4),
                    "kb_a_minute": round(with_trace["bytes"] / 1000 / with_trace["seconds"] * 60, 1),
                }
            )
        database.close()
    whole = sum(row["without_cpu_s"] for row in rows)
    figures = {
        "trace_share": round(sum(row["trace_cpu_s"] for row in rows) / whole, 5),
        "with_over_without": round(sum(row["with_cpu_s"] for row in rows) / whole, 3),
        "kb_a_minute_median": statistics.median(row["kb_a_minute"] for row in rows),
    }
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()

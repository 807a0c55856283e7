"""What it saves, and changes, to analyse a live feed only as often as what could still be told of it needs.

    python -m benchmarks.attention [--gone-after 5] [--corpus DIR] [--json]

Every clip of the corpus is played twice into a live lane, each frame as soon as the last one is done: once with every frame that is asked for
analysed, as if somebody followed the boxes, and once as a feed that nobody watches. Announcements must be the same at the same media time; summaries may
lie an analysis apart. CPU is that of the thread, decoding included.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.camera_ours import box_config
from benchmarks.camera_throughput import make_lane, offer
from benchmarks.cameras import Load
from benchmarks.common import parser, prepared, progress, report
from streamproc.core.event import Event, EventType
from streamproc.core.media import EndOfStream
from streamproc.live.patience import PatientJournal
from streamproc.media.reader import read_packets
from streamproc.perception.provider import ModelProvider
from streamproc.store.database import Database
from streamproc.store.journal import Journal


def played(
    clip: Path, name: str, gone_after: Fraction, always: bool, services: tuple[ModelProvider, PatientJournal]
) -> dict[str, Any]:
    """What was told of a clip, and what it cost."""
    told: list[Event] = []

    def note(events: Sequence[Event]) -> None:
        told.extend(events)

    load = Load("streamproc", (str(clip),), 1, 1.0, gate=True, idle=False)
    lane = make_lane(load, name, 0, *services, note)
    lane.frames.sessions.rules = replace(lane.frames.sessions.rules, gone_after=gone_after)
    analysed: list[Fraction] = []
    lane.frames.observers.add(lambda frame, results: analysed.append(frame.at.media))
    lane.frames.boxes_wanted = lambda: always
    began = time.thread_time()
    for packet in read_packets(clip):
        offer(lane, packet)
    lane.offer(EndOfStream(), None, threading.Event())
    while lane.urgency() is not None:
        lane.step()
    told_of = [event for event in told if event.type is EventType.LABEL_DETECTED]
    ends = [event.at.seconds for event in told if event.type is EventType.SESSION_COMPLETE]
    return {
        "cpu_s": time.thread_time() - began,
        "frames": len(analysed),
        "announced": [(event.label, event.at.media, event.box) for event in told_of],
        "ends": ends,
    }


def compared(clip: Path, gone_after: Fraction, services: tuple[ModelProvider, PatientJournal]) -> dict[str, Any]:
    every = played(clip, f"{clip.stem}-every", gone_after, True, services)
    needed = played(clip, f"{clip.stem}-needed", gone_after, False, services)
    apart = [abs(a - b) for a, b in zip(every["ends"], needed["ends"], strict=False)]
    return {
        "clip": clip.stem,
        "announced": len(every["announced"]),
        "same": every["announced"] == needed["announced"] and len(every["ends"]) == len(needed["ends"]),
        "ends_apart_s": round(max(apart), 2) if apart else None,
        "frames_every": every["frames"],
        "frames_needed": needed["frames"],
        "cpu_every_s": round(every["cpu_s"], 2),
        "cpu_needed_s": round(needed["cpu_s"], 2),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--gone-after", type=float, default=5.0, help="seconds")
    options = prepared(made.parse_args())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        load = Load("streamproc", (), 1, 1.0, gate=True, idle=False)
        provider, database = ModelProvider(box_config(load), Path(folder), workers=1), Database(Path(folder) / "data")
        for clip in sorted((options.corpus / "video").glob("*.m*")):
            progress(clip.name)
            rows.append(compared(clip, Fraction(options.gone_after), (provider, PatientJournal(Journal(database)))))
        database.close()
    busy = [row for row in rows if row["announced"]]
    ratio = sum(row["cpu_needed_s"] for row in busy) / max(sum(row["cpu_every_s"] for row in busy), 1e-9)
    figures = {
        "clips": len(rows),
        "same": sum(row["same"] for row in rows),
        "ends_apart_most_s": max((row["ends_apart_s"] or 0.0 for row in rows), default=0.0),
        "cpu_ratio_where_announced": round(ratio, 3),
    }
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()

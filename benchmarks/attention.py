"""What it saves, and changes, to analyse a live feed only as often as what could still be told of it needs.

    python -m benchmarks.attention [--gone-after 5] [--keyframes SECONDS] [--corpus DIR] [--json]

Every clip of the corpus is played twice into a live lane, each frame as soon as the last one is done: once with every frame that is asked for
analysed, as if somebody followed the boxes, and once as a feed that nobody watches. Announcements must be the same at the same media time; summaries may
lie an analysis apart. CPU is that of the thread, decoding included. With ``--keyframes`` clips are encoded anew with keyframes so far apart, as
cameras have them, and idle mode is on where nobody watches, so that a camera of which everything has been announced may be decoded at these alone.
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

import av

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
    clip: Path,
    name: str,
    gone_after: Fraction,
    always: bool,
    idle: bool,
    services: tuple[ModelProvider, PatientJournal],
) -> dict[str, Any]:
    """What was told of a clip, and what it cost. ``always``: somebody follows the boxes."""
    told: list[Event] = []

    def note(events: Sequence[Event]) -> None:
        told.extend(events)

    load = Load("streamproc", (str(clip),), 1, 1.0, gate=True, idle=idle)
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


def encoded(clip: Path, seconds: float, folder: Path) -> Path:
    """The clip as a camera would encode it, with keyframes so far apart."""
    made = folder / f"{clip.stem}.mp4"
    with av.open(str(clip)) as source, av.open(str(made), "w") as out:
        video = source.streams.video[0]
        rate = video.average_rate or Fraction(25)
        distance = str(max(1, round(rate * Fraction(seconds))))
        options = {"crf": "22", "preset": "superfast", "bf": "0", "g": distance, "sc_threshold": "0"}
        coded = out.add_stream("libx264", rate=rate, options=options)
        coded.width, coded.height = video.width // 2 * 2, video.height // 2 * 2
        for frame in source.decode(video):
            out.mux(coded.encode(frame.reformat(coded.width, coded.height, "yuv420p")))
        out.mux(coded.encode())
    return made


def compared(
    clip: Path, gone_after: Fraction, idle: bool, services: tuple[ModelProvider, PatientJournal]
) -> dict[str, Any]:
    every = played(clip, f"{clip.stem}-every", gone_after, True, False, services)
    needed = played(clip, f"{clip.stem}-needed", gone_after, False, idle, services)
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
    made.add_argument("--keyframes", type=float, help="seconds between keyframes of clips encoded anew, with idle mode")
    options = prepared(made.parse_args())
    rows, distance = [], options.keyframes
    with tempfile.TemporaryDirectory() as folder:
        load = Load("streamproc", (), 1, 1.0, gate=True, idle=False)
        provider, database = ModelProvider(box_config(load), Path(folder), workers=1), Database(Path(folder) / "data")
        for clip in sorted((options.corpus / "video").glob("*.m*")):
            progress(clip.name)
            played_clip = encoded(clip, distance, Path(folder)) if distance else clip
            services = provider, PatientJournal(Journal(database))
            rows.append(compared(played_clip, Fraction(options.gone_after), bool(distance), services))
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

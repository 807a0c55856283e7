"""Whether idle mode misses anybody, and how much later it tells: cameras whose visits are known, played with and without it.

Lanes are played as fast as they are taken, so the figures do not depend on what else the machine does. An event's delay is counted on the
camera's own clock: from the frame at which somebody came into view until the packet with whose arrival the event was durable.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.camera_clips import SCENES, Camera, Coding, Maker
from benchmarks.camera_figures import Announced, first_of_each
from benchmarks.camera_ours import box_config
from benchmarks.camera_throughput import make_lane, offer, together
from benchmarks.cameras import Load, cores, milliseconds
from benchmarks.common import percentile
from streamproc.core.event import Event, EventType
from streamproc.live.patience import PatientJournal
from streamproc.media.reader import read_packets
from streamproc.perception.provider import ModelProvider
from streamproc.store.database import Database
from streamproc.store.journal import Journal

PATTERN = "ssvssv"
"""Long enough to be learnt, then two visits."""


def truth_cameras(maker: Maker, kinds: Sequence[Coding]) -> list[Camera]:
    """Every scene in every coding."""
    return [maker.camera(scene, coding, PATTERN) for coding in kinds for scene in SCENES]


def measure_truth(load: Load, clips: Sequence[Camera]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row a camera; how many entries were missed, and the delays by coding."""
    told: dict[tuple[int, bool], dict[float, Announced]] = {}
    modes: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        provider, database = (
            ModelProvider(box_config(load), Path(folder), workers=cores()),
            Database(Path(folder) / "data"),
        )
        journal = PatientJournal(Journal(database))

        def work(number: int) -> None:
            for index in range(number, len(clips), cores()):
                for idle in (True, False):
                    one = replace(load, gate=True, idle=idle, clips=(str(clips[index].path),))
                    told[index, idle], mode = play_whole(one, index, clips[index], provider, journal)
                    if idle:
                        modes[index] = mode

        together(work)
        database.close()
    rows = [row(camera, told[index, True], told[index, False], modes[index]) for index, camera in enumerate(clips)]
    sleeps = [each["first_sleep_s"] for each in rows if each["first_sleep_s"] is not None]
    first = {"never_asleep": len(rows) - len(sleeps), "first_sleep_most_s": max(sleeps, default=None)}
    return rows, first | figures_of(clips, told)


def play_whole(
    load: Load, index: int, camera: Camera, provider: ModelProvider, journal: PatientJournal
) -> tuple[dict[float, Announced], dict[str, Any]]:
    """What was told of each entry, and what the camera was asleep for: by what it was woken, and why it was not asleep most."""
    now, reasons = Fraction(0), Counter[str]()
    first_sleep: Fraction | None = None
    found: list[Announced] = []

    def note(events: Sequence[Event]) -> None:
        labels = [event for event in events if event.type is EventType.LABEL_DETECTED and event.label == "PERSON"]
        found.extend(Announced(event.at.seconds, float(now)) for event in labels)

    lane = make_lane(load, f"camera-{index}-{'idle' if load.idle else 'plain'}", index, provider, journal, note)
    for packet in read_packets(camera.path):
        now = packet.at.media
        offer(lane, packet)
        if first_sleep is None and lane.idle.asleep:
            first_sleep = now
        reasons[lane.idle.hindrance() or "nothing"] += 1
    usual = next(
        (why for why, _ in reasons.most_common() if why not in ("nothing", "learning") and "moves" not in why), ""
    )
    share = lane.idle.held.undecoded / max(1, sum(reasons.values()))
    mode = {"undecoded": round(share, 3), "awake_for": usual, "wakes": dict(lane.idle.wakes.counts)}
    mode["first_sleep_s"] = None if first_sleep is None else float(first_sleep)
    return first_of_each(found, camera.entries), mode


def row(
    camera: Camera, with_idle: dict[float, Announced], without: dict[float, Announced], mode: dict[str, Any]
) -> dict[str, Any]:
    late = [
        with_idle[entry].durable_s - without[entry].durable_s
        for entry in camera.entries
        if entry in with_idle and entry in without
    ]
    return {
        "camera": camera.scene,
        "coding": camera.coding,
        "entries": len(camera.entries),
        "told_with_idle": len(with_idle),
        "told_without": len(without),
        "worst_delay_ms": milliseconds(max(late)) if late else None,
        "first_sleep_s": mode["first_sleep_s"],
        "undecoded": mode["undecoded"],
        "wakes": ", ".join(f"{reason} {count}" for reason, count in sorted(mode["wakes"].items())),
        "kept_awake_by": mode["awake_for"],
    }


def figures_of(clips: Sequence[Camera], told: dict[tuple[int, bool], dict[float, Announced]]) -> dict[str, Any]:
    """Over all cameras; delays are of an event with idle mode against the same one without."""
    pairs = [
        (camera.coding, told[index, True].get(entry), told[index, False].get(entry))
        for index, camera in enumerate(clips)
        for entry in camera.entries
    ]
    figures: dict[str, Any] = {
        "entries": len(pairs),
        "missed": sum(idle is None and plain is not None for _, idle, plain in pairs),
        "told_only_with_idle": sum(idle is not None and plain is None for _, idle, plain in pairs),
    }
    every = [idle.durable_s - plain.durable_s for _, idle, plain in pairs if idle and plain]
    figures["wake_delay_p95_ms"] = milliseconds(percentile(every, 0.95))
    for coding in dict.fromkeys(camera.coding for camera in clips):
        late = [idle.durable_s - plain.durable_s for each, idle, plain in pairs if each == coding and idle and plain]
        figures[f"wake_delay_{coding}_median_ms"] = milliseconds(percentile(late, 0.5))
        figures[f"wake_delay_{coding}_p95_ms"] = milliseconds(percentile(late, 0.95))
        figures[f"wake_delay_{coding}_most_ms"] = milliseconds(max(late)) if late else None
    return figures

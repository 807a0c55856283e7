"""How many cameras' video a core takes in when nobody waits for the clock: the product's lanes beside decoding and detecting alone.

Each core has a thread that plays one camera after the other into a lane and steps it until it wants nothing more. The lane is
told that its feed is live, as idle mode is for live feeds only; its wall clock is the present. What comes before a camera is learnt is
played and not measured.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from benchmarks.camera_ours import box_config, camera_config
from benchmarks.cameras import FPS, Load, cores
from streamproc.contracts import SourceTraits
from streamproc.core.media import Moment, Packet
from streamproc.live.assembly import make_analyses, session_rules
from streamproc.live.commit import JournalCommitter, OnEvents
from streamproc.live.patience import PatientJournal
from streamproc.logic.session import Sessions
from streamproc.media.reader import read_packets
from streamproc.perception.label_models import WIDE
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.setup import LaneSetup
from streamproc.store.database import Database
from streamproc.store.journal import Journal

SKIPPED = Fraction(12)
"""Seconds of each clip before the measured part."""
TURNS = 3
"""Clips that each core plays."""


def measure_throughput(load: Load) -> dict[str, Any]:
    """CPU milliseconds a camera-second: with idle mode; with everything decoded and detectors only where something moves; of
    OpenCV's loop. And the ratios."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        provider = ModelProvider(box_config(load), Path(folder), workers=cores())
        detector = provider.zoo.first([load.detector], WIDE)
        for name in ("idle", "gate"):
            database = Database(Path(folder) / name)
            found[name] = lanes_cost(
                replace(load, gate=True, idle=name == "idle"), provider, PatientJournal(Journal(database))
            )
            database.close()
        found["opencv"] = opencv_cost(load, detector)
    figures = {f"throughput_{name}_cpu_ms_per_camera_s": round(cost, 2) for name, cost in found.items()}
    return figures | {
        "throughput_ratio_opencv": round(found["opencv"] / found["idle"], 1),
        "throughput_ratio_gate": round(found["gate"] / found["idle"], 1),
    }


def lanes_cost(load: Load, provider: ModelProvider, journal: PatientJournal) -> float:
    """CPU milliseconds a camera-second of our lanes."""
    measured = [0.0] * cores()
    barrier = threading.Barrier(cores())
    begun: list[float] = []

    def work(number: int) -> None:
        lanes = [
            make_lane(load, f"camera-{number}-{turn}", number * TURNS + turn, provider, journal)
            for turn in range(TURNS)
        ]
        rest = [
            play_until(lane, load.clips[(number * TURNS + turn) % len(load.clips)]) for turn, lane in enumerate(lanes)
        ]
        if barrier.wait() == 0:
            begun.append(time.process_time())
        barrier.wait()
        for lane, packets in zip(lanes, rest, strict=True):
            measured[number] += play(lane, packets)

    together(work)
    return 1000 * (time.process_time() - begun[0]) / sum(measured)


def make_lane(
    load: Load,
    name: str,
    index: int,
    provider: ModelProvider,
    journal: PatientJournal,
    on_events: OnEvents = lambda events: None,
) -> Lane:
    """A lane of no scheduler. ``index`` sets its sampling phase; ``on_events`` is called within its step with what has become durable."""
    config = camera_config(load, index)
    parts = LaneSetup(
        name,
        SourceTraits(live=True),
        Sessions(name, session_rules(config), name),
        make_analyses(config, provider, index),
        JournalCommitter(journal, name, on_events),
        latency=True,
    )
    lane = Lane(parts)
    lane.idle.settings = config.idle
    return lane


def play_until(lane: Lane, clip: str) -> list[Packet]:
    """Plays the first SKIPPED seconds; the rest."""
    packets = list(read_packets(Path(clip)))
    play(lane, [packet for packet in packets if packet.at.media < SKIPPED])
    return [packet for packet in packets if packet.at.media >= SKIPPED]


def play(lane: Lane, packets: Sequence[Packet]) -> float:
    """Offers each and steps the lane until it wants nothing; the seconds that were played."""
    for packet in packets:
        offer(lane, packet)
    return float(packets[-1].at.media - packets[0].at.media) if packets else 0.0


def offer(lane: Lane, packet: Packet) -> None:
    lane.offer(replace(packet, at=Moment(packet.at.media, datetime.now(UTC))), None, threading.Event())
    while lane.urgency() is not None:
        lane.step()


def opencv_cost(load: Load, detector: Any) -> float:
    """CPU milliseconds a camera-second of decoding all and detecting five times a second, as the rival does."""
    measured = [0.0] * cores()
    begun = time.process_time()

    def work(number: int) -> None:
        capture = cv2.VideoCapture(load.clips[number % len(load.clips)], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        rate = capture.get(cv2.CAP_PROP_FPS)
        frames = 0
        while frames < 20 * rate and capture.grab():
            if frames % round(rate / FPS) == 0:
                detector.detect(capture.retrieve()[1], 0.3)
            frames += 1
        capture.release()
        measured[number] = frames / rate

    cv2.setNumThreads(1)
    together(work)
    return 1000 * (time.process_time() - begun) / sum(measured)


def together(work: Callable[[int], None]) -> None:
    """``work`` in a thread a core."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(cores())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

"""How many cameras this node holds: what one costs it, measured with the configured models on a sample of a feed.

A camera is measured three times: busy (the sample as it is), quiet (its first picture standing still under a camera's noise, which is
what most cameras show most of the day, decoded and gated) and idle (the same asleep, as idle mode has it: its keyframes alone are decoded, its packets weighed).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import SourceTraits
from streamproc.core.media import Packet
from streamproc.live.assembly import make_analyses, session_rules
from streamproc.live.replay import Collector, whole_clip
from streamproc.logic.session import Sessions
from streamproc.measure import machine
from streamproc.measure.sample import Sample, later, standing_still
from streamproc.media.decode import Decoder
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.cores import usable_cores
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.setup import LaneSetup

CPU_SHARE = 0.8
"""Of the cores that may be used before latency grows."""
MEMORY_SHARE = 0.8
"""Of the memory that is free."""
_LANES = 4
"""So many cameras are opened side by side to see what memory one takes."""
_LANE_S = Fraction(2)
_LEARNING, _ASLEEP = 4, 6
"""So often the still feed is played for a lane to learn it and fall asleep, and then to be measured: a look a minute is part of it."""


@dataclass(frozen=True)
class Costs:
    """CPU seconds a second of one camera, by what it shows, and parts of them; memory in bytes."""

    ingest: float
    decode: float
    """Of every picture of a busy camera."""
    decode_quiet: float
    """Of every picture of a quiet one..."""
    keyframes: float
    """...and of its keyframes alone."""
    idle: float
    quiet: float
    busy: float
    memory: int
    """A camera that is decoded."""
    backlog: int = 0
    """What an idle camera holds besides: its packets since the last keyframe."""


@dataclass(frozen=True)
class Held:
    """How many cameras of a kind fit, and what a further one would lack."""

    cameras: int
    limit: str
    """decoding, inference, ingest or memory."""


@dataclass(frozen=True)
class Capacity:
    """The answer, with the measurements behind it."""

    sample: Sample
    costs: Costs
    cores: float
    free_memory: int | None
    """Bytes, with the models loaded; None where the system does not say."""
    never_idle: str | None = None
    """Why a camera like this never sleeps, so that an idle one costs what a quiet one does."""

    def held(self, kind: str) -> Held:
        """``kind``: idle, quiet or busy."""
        costs = self.costs
        cpu = {"idle": costs.idle, "quiet": costs.quiet, "busy": costs.busy}[kind]
        by_cpu = int(self.cores * CPU_SHARE / max(cpu, 1e-6))
        memory = costs.memory + (costs.backlog if kind == "idle" else 0)
        if self.free_memory is not None and memory > 0:
            by_memory = int(self.free_memory * MEMORY_SHARE / memory)
            if by_memory < by_cpu:
                return Held(by_memory, "memory")
        sleeps = kind == "idle" and self.never_idle is None
        decode = costs.keyframes if sleeps else costs.decode if kind == "busy" else costs.decode_quiet
        parts = {"decoding": decode, "ingest": costs.ingest, "inference": cpu - decode - costs.ingest}
        return Held(by_cpu, max(parts, key=lambda part: parts[part]))

    def document(self) -> dict[str, object]:
        """JSON-ready. ``limit`` is that of busy cameras."""
        held = {kind: self.held(kind) for kind in ("idle", "quiet", "busy")}
        costs = self.costs
        return {
            **{f"{kind}_cameras": each.cameras for kind, each in held.items()},
            "limit": held["busy"].limit,
            "limits": {kind: each.limit for kind, each in held.items()},
            "never_idle": self.never_idle,
            "cores": round(self.cores, 2),
            "cpu_share": CPU_SHARE,
            "camera": self.sample.document(),
            "cpu_s_per_camera_second": {
                "ingest": round(costs.ingest, 5),
                "decode_only": round(costs.decode, 4),
                "decode_quiet": round(costs.decode_quiet, 4),
                "decode_keyframes": round(costs.keyframes, 5),
                "idle": round(costs.idle, 4),
                "quiet": round(costs.quiet, 4),
                "busy": round(costs.busy, 4),
            },
            "memory": {
                "free_mb": None if self.free_memory is None else round(self.free_memory / 1e6),
                "camera_mb": round(costs.memory / 1e6, 1),
                "idle_backlog_mb": round(costs.backlog / 1e6, 2),
            },
        }


def measure(sample: Sample, config: ProcessorConfig, provider: ModelProvider, folder: Path) -> Capacity:
    """Takes about as long as the sample costs, twice. ``folder`` is written to. Raises InputError where it cannot be decoded."""
    document = whole_clip(config)
    still = standing_still(sample, folder / "still.mp4")
    # Models are loaded and compiled with the first look; that is not a camera's cost.
    _run(document, provider, _beginning(sample))
    memory = _memory_of_one(document, provider, sample)
    free = machine.free_memory()
    demux = _cpu(lambda: sum(1 for _ in sample.packets())) / sample.seconds
    ingest = demux if sample.ingest_ms is None else sample.ingest_ms / 1000 * sample.fps
    # What is measured below reads a file; a camera costs what receiving it costs more.
    extra = ingest - demux
    keyframes = _cpu(lambda: _decode(still, keyframes=True)) / still.seconds - demux
    quiet = _quiet(document, provider, still)
    asleep, awake_because = _asleep(document, provider, still)
    costs = Costs(
        ingest=ingest,
        decode=_cpu(lambda: _decode(sample)) / sample.seconds - demux,
        decode_quiet=_cpu(lambda: _decode(still)) / still.seconds - demux,
        keyframes=keyframes,
        idle=(quiet if asleep is None else asleep) + extra,
        quiet=quiet + extra,
        busy=_cpu(lambda: _run(document, provider, sample.packets())) / sample.seconds + extra,
        memory=memory,
        backlog=round(sample.bit_rate / 8 * sample.gop_s),
    )
    return Capacity(sample, costs, usable_cores(), free, awake_because)


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _lane(config: ProcessorConfig, provider: ModelProvider, live: bool = False) -> Lane:
    sessions = Sessions("capacity", session_rules(config), "capacity")
    return Lane(
        LaneSetup(
            "capacity",
            SourceTraits(live=live),
            sessions,
            make_analyses(config, provider),
            Collector(),
            checkpoints=False,
        )
    )


def _run(config: ProcessorConfig, provider: ModelProvider, packets: Iterable[Packet]) -> Lane:
    """The whole pipeline, in this thread."""
    lane = _lane(config, provider)
    _play(lane, packets)
    return lane


def _play(lane: Lane, packets: Iterable[Packet]) -> None:
    stop = threading.Event()
    for packet in packets:
        lane.offer(packet, None, stop)
        while not lane.over and lane.urgency() is not None:
            lane.step()


def _beginning(sample: Sample) -> Iterable[Packet]:
    return (packet for packet in sample.packets() if packet.at.media <= _LANE_S)


def _memory_of_one(config: ProcessorConfig, provider: ModelProvider, sample: Sample) -> int:
    """By opening several; the first is not counted, since it takes up what was freed before."""
    lanes = [_run(config, provider, _beginning(sample))]
    first = machine.resident_memory() or 0
    lanes += [_run(config, provider, _beginning(sample)) for _ in range(_LANES - 1)]
    grown = (machine.resident_memory() or 0) - first
    return max(0, grown) // (len(lanes) - 1)


def _decode(sample: Sample, keyframes: bool = False) -> None:
    decoder = Decoder()
    for packet in sample.packets():
        if keyframes and packet.keyframe:
            decoder.still(packet)
        elif not keyframes:
            decoder.decode(packet)


def _quiet(config: ProcessorConfig, provider: ModelProvider, still: Sample) -> float:
    """CPU seconds a second of a camera that has shown nothing for a while, decoded."""
    lane = _lane(config, provider)
    _play(lane, later(still, 0, 1))
    return _cpu(lambda: _play(lane, later(still, 1, 2))) / (2 * still.seconds)


def _asleep(config: ProcessorConfig, provider: ModelProvider, still: Sample) -> tuple[float | None, str | None]:
    """The same while its lane sleeps; or None, and why it does not."""
    lane = _lane(config, provider, live=True)
    lane.idle.settings = config.idle
    _play(lane, later(still, 0, _LEARNING))
    if not lane.idle.asleep:
        return None, lane.idle.hindrance() or "it wakes again and again"
    taken = _cpu(lambda: _play(lane, later(still, _LEARNING, _ASLEEP)))
    return taken / (_ASLEEP * still.seconds), None

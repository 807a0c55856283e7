"""What the benchmarks of many cameras share: a load, who carries it, and the figures of what came of it.

Each contestant runs in a process of its own (and what processes it starts), plays every camera at the pace it was recorded, and
looks at five frames a second of each. CPU is that of the process and its children between two marks, so start-up and compiling
are not in it. Reads /proc: Linux only.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import PROJECT, parser, percentile, progress

FPS = 5.0
"""Looks a second at each camera."""
TARGET = 0.8
"""Of all cores: what a box may be loaded with before latency grows."""
FRAME_S = 1 / 15
MOST_PASSED_OVER = 0.05
"""Who leaves out more of the looks that are due does not hold its cameras."""
BEHIND_S = 1 / FPS
"""A rival passes over a look that is late by this much: a newer frame is due by then."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """What a contestant is given."""

    contestant: str
    """streamproc, opencv or processes."""
    clips: tuple[str, ...]
    """Camera i plays clip i modulo their number, from its beginning, for ever."""
    cameras: int
    seconds: float
    """Between the marks."""
    warmup_s: float = 3.0
    """After the last camera began."""
    spread_s: float = 1.0
    """Cameras begin evenly over so long; 0: all at once."""
    detector: str = "yolox_nano"
    profile: str = "single"
    """single: this detector on whole frames, PERSON, every look; default: the product's, all three classes."""
    gate: bool = False
    """Detectors run only where something moves (not in the first rival, which knows no motion); otherwise at every look."""
    idle: bool = False
    """The product's idle mode."""
    bare: bool = False
    """Also measure decoding alone and the same inferences alone."""
    governor: bool = False
    """The product may ease itself where it has too much to do; where it may not, every look is made or counted as dropped."""
    gone_after_s: float = 1.0
    workers: int | None = None
    """Of the product; None: its own choice."""
    spawned: float = 0.0
    """When the process was started, epoch seconds; set by ``carry``."""


@dataclass
class Outcome:
    """What came of it. Times are epoch seconds."""

    load: dict[str, Any]
    begin: float = 0.0
    end: float = 0.0
    cpu_s: float = 0.0
    looks: list[tuple[int, float, float]] = field(default_factory=list)
    """Camera, when the frame was captured, seconds until it had been looked at (and what it decided was durable)."""
    events: list[tuple[int, str, float, float, float]] = field(default_factory=list)
    """Camera, class, media seconds, when the frame was captured, seconds until the event was durable."""
    drops: dict[str, int] = field(default_factory=dict)
    """Looks that were due between the marks and not made, by reason."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """When, and megabytes (proportional set size) of all its processes."""
    kept_up: float = 1.0
    """Of a rival: share of the frames between the marks that it had decoded in time to go on at the cameras' pace."""
    starts: list[float] = field(default_factory=list)
    """When each camera's clip began."""
    decode_ms: float | None = None
    infer_ms: float | None = None
    """Bare, CPU milliseconds a camera-second."""
    views: list[dict[str, Any]] = field(default_factory=list)
    """What the product says of each camera at the end."""
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def cameras(self) -> int:
        return int(self.load["cameras"])

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    @property
    def inside(self) -> list[tuple[int, float, float]]:
        """Looks between the marks."""
        return [look for look in self.looks if self.begin <= look[1] + look[2] < self.end]

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a camera-second."""
        return 1000 * self.cpu_s / (self.cameras * self.seconds)

    @property
    def used(self) -> float:
        """Share of all cores."""
        return self.cpu_s / (self.seconds * cores())

    @property
    def passed_over(self) -> float:
        """Share of the due looks that were not made."""
        dropped = sum(self.drops.values())
        return dropped / max(1, dropped + len(self.inside))

    @property
    def held(self) -> int | None:
        """Cameras that fit into TARGET of all cores, by what one costs at the measured number; None where it did not do the work."""
        did_it = self.passed_over <= MOST_PASSED_OVER and self.kept_up >= 1 - MOST_PASSED_OVER
        return cameras_held(self.cpu_ms) if did_it else None

    @property
    def memory_mb(self) -> float | None:
        """At the end of the measured time."""
        return self.memory[-1][1] if self.memory else None

    def row(self) -> dict[str, Any]:
        """For the table."""
        delays = [delay for _, _, delay in self.inside]
        durable = [event[4] for event in self.events if self.begin <= event[3] < self.end and event[1]]
        return {
            "contestant": self.load["contestant"],
            "profile": self.load["profile"] + ("+gate" if self.load["gate"] else ""),
            "cameras": self.cameras,
            "cpu": round(self.used, 3),
            "cpu_ms_per_camera_s": round(self.cpu_ms, 2),
            "cameras_held": self.held,
            "looks_per_camera_s": round(len(delays) / (self.cameras * self.seconds), 2),
            "look_p50_ms": milliseconds(percentile(delays, 0.5)),
            "look_p95_ms": milliseconds(percentile(delays, 0.95)),
            "look_p99_ms": milliseconds(percentile(delays, 0.99)),
            "events": len(durable),
            "event_p50_ms": milliseconds(percentile(durable, 0.5)),
            "event_p95_ms": milliseconds(percentile(durable, 0.95)),
            "event_p99_ms": milliseconds(percentile(durable, 0.99)),
            "drops": ", ".join(f"{reason} {count}" for reason, count in sorted(self.drops.items())) or "0",
            "memory_mb": self.memory_mb,
        }


def carry(load: Load, timeout_s: float = 400.0) -> Outcome:
    """Run a contestant in a process of its own. What it says on standard error is shown where it fails."""
    progress(f"{load.contestant}, {load.profile}: {load.cameras} cameras for {load.seconds:g} s")
    document = asdict(load) | {"spawned": time.time()}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.camera_child"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complaints = process.communicate(json.dumps(document), timeout=timeout_s)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
        process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"{load.contestant} ended with {process.returncode}:\n{complaints[-2000:]}")
    found = json.loads(said.splitlines()[-1])
    found["looks"] = [tuple(look) for look in found["looks"]]
    found["events"] = [tuple(event) for event in found["events"]]
    return Outcome(**found)


def near_target(load: Load, most: int = 200, probe_s: float = 5.0) -> tuple[Outcome, Outcome]:
    """Two runs: a small one that says what a camera costs about, and one of as many as should fill TARGET of the cores."""
    small = carry(Load(**{**asdict(load), "cameras": min(3, most), "seconds": probe_s, "bare": False}))
    if small.held is None:
        progress(f"{load.contestant} left out looks at {small.cameras} cameras: is something else using the cores?")
    return small, carry(Load(**{**asdict(load), "cameras": max(2, min(most, cameras_held(small.cpu_ms)))}))


def cameras_held(cpu_ms: float, count: int | None = None) -> int:
    """How many cameras of that many CPU milliseconds a second fit into TARGET of the cores."""
    return math.floor(1000 * TARGET * (count or cores()) / max(cpu_ms, 0.01) + 1e-9)


def memory_a_camera(small: Outcome, large: Outcome) -> float | None:
    """Megabytes that one more camera takes."""
    if small.memory_mb is None or large.memory_mb is None or large.cameras <= small.cameras:
        return None
    return round((large.memory_mb - small.memory_mb) / (large.cameras - small.cameras), 1)


def first_look_s(outcome: Outcome, load: Load) -> float | None:
    """From the start of the process until a first frame had been looked at."""
    return round(min(at + took for _, at, took in outcome.looks) - load.spawned, 3) if outcome.looks else None


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def cores() -> int:
    return len(os.sched_getaffinity(0))


def camera_parser(about: str | None) -> Any:
    """The common arguments and ``--quick``."""
    made = parser(about)
    made.add_argument("--quick", action="store_true", help="short windows: to see that it runs, not for figures")
    made.add_argument("--seconds", type=float, default=None, help="measured time of each run")
    made.add_argument(
        "--workers", type=int, help="threads of the product that decode and infer, instead of its own choice"
    )
    made.add_argument("--detector", default="yolox_nano", help="the detector that all contestants run on whole frames")
    return made


def drops_between(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    return {reason: after[reason] - before[reason] for reason in after if after[reason] > before[reason]}


# -- what the kernel says of a process and its children


def tree(root: int) -> list[int]:
    """Ids of a process and all below it."""
    parents: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            fields = _stat(int(place.name))
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(place.name))
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        left += parents.get(pid, [])
    return found


def tree_cpu(root: int) -> float:
    """CPU seconds of a process and all below it, those that ended and were waited for too."""
    if tree(root) == [root]:
        return time.process_time() if root == os.getpid() else _ticks(root)
    return sum(_ticks(pid) for pid in tree(root))


def tree_memory(root: int, field: str = "Pss") -> float:
    """Megabytes, shared pages divided among those who share them. ``field``: of smaps_rollup (proc(5)), such as Pss_Anon."""
    return round(sum(_pss_kb(pid, field) for pid in tree(root)) / 1024, 1)


def own_memory() -> float:
    """Megabytes of this process alone: cheaper to ask for, since what measures is measured too."""
    return round(_pss_kb(os.getpid()) / 1024, 1)


def counts(pid: int) -> tuple[int, int]:
    """Threads and open files of one process."""
    fields = _stat(pid)
    return (int(fields[17]) if fields else 0), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _ticks(pid: int) -> float:
    fields = _stat(pid)
    return sum(int(value) for value in fields[11:15]) / _TICK if fields else 0.0


def _stat(pid: int) -> Sequence[str]:
    """Fields of /proc/PID/stat from the state on (proc(5) field 3); none where it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ()


def _pss_kb(pid: int, field: str = "Pss") -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)

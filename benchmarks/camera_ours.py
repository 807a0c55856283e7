"""The product under a load of cameras: the real supervisor with its workers, models, journal and idle mode."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import av

from benchmarks.cameras import FPS, Load, Outcome, cores, drops_between, own_memory, tree_cpu
from benchmarks.live_cost import Recorder
from streamproc.cli.loop import run_loop
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.core.event import Event, EventType
from streamproc.core.media import Frame
from streamproc.live.supervisor import Supervisor
from streamproc.metrics import REGISTRY
from streamproc.server.renderers import RENDERERS
from streamproc.store.database import Database

BARE_S = 3.0
"""How long each bare limit is measured, on all cores."""
MEMORY_EVERY_S = 0.5


def run(load: Load) -> Outcome:
    with tempfile.TemporaryDirectory() as folder, Recorder() as recorder:
        return run_loop(Cameras(load, Path(folder), recorder).run())


def box_config(load: Load) -> NodeConfig:
    """With a profile that looks for people with one detector."""
    document: dict[str, Any] = {"models": {"profiles": {"single": {"person": [load.detector]}}}}
    if not load.governor:
        document["cpu_target"] = 0
    if load.workers is not None:
        document["workers"] = load.workers
    return NodeConfig.model_validate(document)


def camera_config(load: Load, index: int) -> ProcessorConfig:
    labels: dict[str, Any] = {"fps": FPS}
    if load.profile == "single":
        labels |= {"classes": ["PERSON"], "profile": "single", "second_look": False, "motion_gate": load.gate}
    document = {
        "source": {"type": "file", "path": load.clips[index % len(load.clips)], "realtime": True, "loop": True},
        "session": {"mode": "continuous", "gone_after": load.gone_after_s},
        "labels": labels,
        "idle": {"enabled": load.idle},
    }
    return ProcessorConfig.model_validate(document)


class Cameras:
    """One run. Looks and events are written down as they happen; everything else at the two marks."""

    def __init__(self, load: Load, folder: Path, recorder: Recorder) -> None:
        self.load = load
        self.recorder = recorder
        self.outcome = Outcome(asdict(load))
        self.supervisor = Supervisor(box_config(load), folder, Database(folder / "data"), renderers=RENDERERS)
        self._names = [f"camera-{index:03d}" for index in range(load.cameras)]
        self.outcome.starts = [0.0] * load.cameras
        self._done: dict[tuple[str, datetime], float] = {}
        self._events: list[Event] = []

    async def run(self) -> Outcome:
        supervisor, outcome, load = self.supervisor, self.outcome, self.load
        supervisor.notices.committed.append(self._events.extend)
        supervisor.notices.runs.append(self._look_on)
        await supervisor.open()
        await self._begin()
        await asyncio.sleep(load.warmup_s)
        outcome.begin, cpu, drops, runs = (
            time.time(),
            tree_cpu(os.getpid()),
            self._drops(),
            Counter(self.recorder.counts),
        )
        while time.time() < outcome.begin + load.seconds:
            outcome.memory.append((time.time(), await asyncio.to_thread(own_memory)))
            await asyncio.sleep(MEMORY_EVERY_S)
        outcome.end, outcome.cpu_s = time.time(), tree_cpu(os.getpid()) - cpu
        runs = Counter(self.recorder.counts) - runs
        outcome.drops = drops_between(drops, self._drops())
        outcome.memory.append((time.time(), own_memory()))
        for name in self._names:
            view = (await supervisor.view(name)).to_json()
            outcome.views.append({key: view[key] for key in ("state", "message", "source", "metrics")})
        outcome.notes["metered"] = metered()
        await asyncio.sleep(0.2)
        await supervisor.close(drain_s=0.0)
        outcome.events = [self._told(event) for event in self._events if event.type is EventType.LABEL_DETECTED]
        outcome.notes["first_event_s"] = _first([at + took for *_, at, took in outcome.events], load.spawned)
        outcome.notes["first_look_s"] = _first([at + took for _, at, took in outcome.looks], load.spawned)
        outcome.notes["inferences_per_camera_s"] = round(sum(runs.values()) / (load.cameras * outcome.seconds), 2)
        if load.bare:
            outcome.decode_ms = bare_decode(load.clips)
            outcome.infer_ms = bare_inferences(self.recorder, runs) / (load.cameras * outcome.seconds)
        return outcome

    async def _begin(self) -> None:
        """Models are compiled with the first camera; the others follow evenly."""
        for index, name in enumerate(self._names):
            await self.supervisor.create(name, camera_config(self.load, index))
        await self.supervisor.start(self._names[0])
        while not self.outcome.looks:
            await asyncio.sleep(0.02)
            if (await self.supervisor.view(self._names[0])).state == "failed":
                raise RuntimeError((await self.supervisor.view(self._names[0])).message)
        if self.load.spread_s == 0 and len(self._names) > 1:
            await self.supervisor.stop(self._names[0])
            await asyncio.gather(*(self.supervisor.start(name) for name in self._names))
            return
        for name in self._names[1:]:
            await self.supervisor.start(name)
            await asyncio.sleep(self.load.spread_s / len(self._names))

    def _look_on(self, name: str) -> None:
        run = self.supervisor.run_of(name)
        if run is not None:
            run.lane.frames.observers.add(self._watcher(name, self._names.index(name)))

    def _watcher(self, name: str, index: int) -> Callable[[Frame, Any], None]:
        """Called when a frame was looked at and what it decided is durable."""

        def watch(frame: Frame, looks: Any) -> None:
            now, captured = time.time(), frame.at.wall
            self._done[name, captured] = now
            if not self.outcome.starts[index]:
                self.outcome.starts[index] = captured.timestamp() - frame.at.seconds
            self.outcome.looks.append((index, captured.timestamp(), now - captured.timestamp()))

        return watch

    def _told(self, event: Event) -> tuple[int, str, float, float, float]:
        captured = event.at.wall.timestamp()
        took = self._done.get((event.processor, event.at.wall), captured) - captured
        return self._names.index(event.processor), event.label or "", round(event.at.seconds, 3), captured, took

    def _drops(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for name in self._names:
            run = self.supervisor.run_of(name)
            if run is not None:
                total += run.lane.stats.drops
        return total


def metered() -> dict[str, float]:
    """What the product's own metrics say of waking, sleeping and easing, summed over the cameras."""
    found: dict[str, float] = {}
    for family in REGISTRY.collect():
        if not any(word in family.name for word in ("asleep", "wake", "eas")):
            continue
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                labels = ",".join(f"{key}={value}" for key, value in sample.labels.items() if key != "processor")
                name = f"{sample.name.removeprefix('streamproc_')}{{{labels}}}" if labels else sample.name
                found[name] = found.get(name, 0.0) + sample.value
    return found


def _first(times: Sequence[float], spawned: float) -> float | None:
    return round(min(times) - spawned, 3) if times else None


def bare_decode(clips: Sequence[str]) -> float:
    """CPU milliseconds to decode a second of a camera and do nothing with it, on all cores at once."""
    seconds = [0.0] * cores()

    def work(number: int) -> None:
        deadline = time.monotonic() + BARE_S
        while time.monotonic() < deadline:
            with av.open(clips[number % len(clips)]) as container:
                stream = container.streams.video[0]
                stream.thread_type, stream.codec_context.thread_count = "SLICE", 1
                frames = 0
                for packet in container.demux(stream):
                    frames += len(packet.decode())
                    if time.monotonic() >= deadline:
                        break
                seconds[number] += frames / float(stream.average_rate or 15)

    return 1000 * _on_all_cores(work) / max(sum(seconds), 1e-6)


def bare_inferences(recorder: Recorder, runs: Counter[int]) -> float:
    """CPU milliseconds of all these inferences with nothing around them: what each network costs on all cores at once, times how
    often it ran."""
    total = 0.0
    for key, count in runs.items():
        network, sample = recorder.samples[key]
        done = [0] * cores()

        def work(number: int, network: Any = network, sample: Any = sample, done: list[int] = done) -> None:
            network.infer(sample)
            deadline = time.monotonic() + BARE_S / len(runs)
            while time.monotonic() < deadline:
                network.infer(sample)
                done[number] += 1

        total += count * 1000 * _on_all_cores(work) / max(sum(done), 1)
    return total


def _on_all_cores(work: Callable[[int], None]) -> float:
    """CPU seconds that ``work`` took in as many threads as there are cores."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(cores())]
    begun = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.process_time() - begun

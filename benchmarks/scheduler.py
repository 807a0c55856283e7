"""How frames meet models, two designs on the real detector set in one run: workers that run a frame to its end, and one engine shared
by all cameras.

    python -m benchmarks.scheduler [--cameras 2 4] [--seconds 8] [--rounds 3] [--corpus DIR] [--json]

`workers` is what streamproc does: as many threads as cores, the most urgent camera first, decode, infer and decide in the same
thread. `shared` hands every inference to one dispatcher, which starts the most urgent one on OpenVINO's AsyncInferQueue (as many
in flight as cores) while four times as many threads as cores decode, cut and decide, and wait for their answers. Cameras play at
their own pace with all three classes, second look and faces, and idle mode off. The two take turns, so that what else the machine
does falls on both; figures are medians over the rounds. Latency is from a frame's arrival until what was seen in it is decided.
"""

from __future__ import annotations

import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, cast

import openvino as ov

from benchmarks.common import parser, percentile, prepared, progress, report
from benchmarks.face_photos import face_photos
from streamproc.config.node import NodeConfig
from streamproc.config.processor import IdleSettings, ProcessorConfig
from streamproc.contracts import SourceTraits
from streamproc.core.media import EndOfStream, Frame, Moment, Packet
from streamproc.live.assembly import make_analyses, session_rules
from streamproc.live.commit import JournalCommitter
from streamproc.live.patience import PatientJournal
from streamproc.logic.session import Sessions
from streamproc.media.reader import read_packets
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.cores import usable_cores
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.scheduler import SPARE, Scheduler
from streamproc.pipeline.setup import LaneSetup
from streamproc.store.database import Database
from streamproc.store.journal import Journal
from streamproc.vision.engine import Network

CLIPS = ("kvs_bezos_vogels.mkv", "intel_one_by_one_person.mp4", "ocv4n_traffic.mp4", "constructed_package_pan.mp4")
WARMUP_S = 1.5
DESIGNS = ("workers", "shared")
LANE_THREADS = 4
"""Threads a core that decode and decide beside the shared engine."""


class SharedEngine:
    """``with SharedEngine(cores):`` every inference of the process goes through one dispatcher, the most urgent first."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._slots = threading.Semaphore(cores)
        self._waiting: queue.PriorityQueue[tuple[float, int, Any]] = queue.PriorityQueue()
        self._numbers = count()
        self._pools: dict[int, tuple[ov.AsyncInferQueue, tuple[str, ...]]] = {}
        self._infer = Network.infer
        self._urgency = threading.local()
        self._dispatcher = threading.Thread(target=self._dispatch, daemon=True)

    def __enter__(self) -> SharedEngine:
        shared = self

        def infer(network: Network, inputs: Any) -> Any:
            answer: Future[Any] = Future()
            deadline = getattr(shared._urgency, "deadline", time.monotonic())
            shared._waiting.put((deadline, next(shared._numbers), (network, inputs, answer)))
            return answer.result()

        Network.infer = cast(Any, infer)  # type: ignore[method-assign]
        self._dispatcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        Network.infer = self._infer  # type: ignore[method-assign]
        self._waiting.put((float("inf"), next(self._numbers), None))
        self._dispatcher.join()
        for pool, _ in self._pools.values():
            pool.wait_all()

    def task(self, lane: Lane) -> UrgentLane:
        return UrgentLane(lane, self._urgency)

    def _dispatch(self) -> None:
        while True:
            _, _, work = self._waiting.get()
            if work is None:
                return
            network, inputs, answer = work
            self._slots.acquire()
            pool, _ = self._pool(network)
            pool.start_async(dict(inputs) if isinstance(inputs, dict) else [inputs], answer, share_inputs=True)

    def _pool(self, network: Network) -> tuple[ov.AsyncInferQueue, tuple[str, ...]]:
        found = self._pools.get(id(network))
        if found is None:
            pool = ov.AsyncInferQueue(network._compiled, self._cores)
            names = network.outputs

            def done(request: Any, answer: Future[Any]) -> None:
                outputs = {name: request.get_output_tensor(index).data.copy() for index, name in enumerate(names)}
                self._slots.release()
                answer.set_result(outputs)

            pool.set_callback(done)
            found = self._pools[id(network)] = (pool, names)
        return found


class UrgentLane:
    """A lane whose inferences are as urgent as its step is."""

    def __init__(self, lane: Lane, local: threading.local) -> None:
        self._lane = lane
        self._local = local
        self.urgency, self.fail = lane.urgency, lane.fail

    def step(self) -> None:
        self._local.deadline = self._lane.urgency() or time.monotonic()
        self._lane.step()


@dataclass
class Window:
    """One measured stretch of one design."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    looks: list[tuple[float, float]] = field(default_factory=list)
    """When, and seconds since the frame had arrived."""
    dropped: int = 0

    def row(self) -> dict[str, float]:
        times = [took * 1000 for _, took in self.looks]
        due = len(self.looks) + self.dropped
        return {
            "looks_per_s": len(self.looks) / self.seconds,
            "dropped_share": self.dropped / due if due else 0.0,
            "p50_ms": percentile(times, 0.5) or 0.0,
            "p95_ms": percentile(times, 0.95) or 0.0,
            "cpu_ms_per_look": 1000 * self.cpu_s / max(1, len(self.looks)),
        }


class Cameras:
    """Plays recorded packets to lanes at the pace of their clips, from one thread."""

    def __init__(self, lanes: Sequence[Lane], packets: Sequence[list[Packet]]) -> None:
        self._lanes = lanes
        self._plan = sorted(
            ((at, number, packet) for number, camera in enumerate(packets) for at, packet in _paced(camera)),
            key=lambda item: item[0],
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> Cameras:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for lane in self._lanes:
            lane.end("stopped")

    def _play(self) -> None:
        begun = time.monotonic()
        for at, number, packet in self._plan:
            if self._over.wait(max(0.0, at - (time.monotonic() - begun))):
                return
            arrived = replace(packet, at=Moment(packet.at.media, datetime.now(UTC)))
            self._lanes[number].offer(arrived, None, self._over)
        for lane in self._lanes:
            lane.offer(EndOfStream(), None, self._over)


def _paced(packets: list[Packet]) -> list[tuple[float, Packet]]:
    """When a camera sends each packet: in decode order, no frame before it was taken."""
    latest, plan = 0.0, []
    for packet in packets:
        latest = max(latest, packet.at.seconds)
        plan.append((latest, packet))
    return plan


class Bench:
    """The models, the collection and the clips of all windows."""

    def __init__(self, corpus: Path, place: Path, seconds: float) -> None:
        self.seconds = seconds
        self.cores = max(1, round(usable_cores()))
        self.place = place
        self.provider = ModelProvider(NodeConfig(), place, workers=self.cores)
        self.packets = [self._read(corpus / "video" / name) for name in CLIPS]
        self.provider.faces.create_collection("family")
        for number, photo in enumerate(face_photos(corpus)[:8]):
            self.provider.faces.index_faces("family", photo.path.read_bytes(), external_image_id=f"person-{number}")
        self._number = count()

    def _read(self, clip: Path) -> list[Packet]:
        last = Fraction(self.seconds + WARMUP_S + 1)
        return [packet for packet in read_packets(clip) if packet.at.media < last]

    def config(self) -> ProcessorConfig:
        return ProcessorConfig.model_validate(
            {
                "source": {"type": "file", "path": "played", "realtime": True},
                "session": {"duration": 0, "allow_long": True},
                "labels": {},
                "faces": {"collection": "family", "records": False},
            }
        )

    def window(self, design: str, cameras: int) -> Window:
        if design == "workers":
            return self._measure(cameras, Scheduler(self.cores + SPARE), None)
        with SharedEngine(self.cores) as shared:
            return self._measure(cameras, Scheduler(LANE_THREADS * self.cores), shared)

    def _measure(self, cameras: int, scheduler: Scheduler, shared: SharedEngine | None) -> Window:
        window = Window()
        database = Database(self.place / f"data-{next(self._number)}")
        journal = PatientJournal(Journal(database))
        lanes = [self._lane(journal, index, scheduler, window) for index in range(cameras)]
        for lane in lanes:
            scheduler.add(shared.task(lane) if shared is not None else lane)
        scheduler.start()
        with Cameras(lanes, [self.packets[index % len(self.packets)] for index in range(cameras)]):
            time.sleep(WARMUP_S)
            begun, cpu, dropped = time.time(), time.process_time(), _dropped(lanes)
            time.sleep(self.seconds)
            ended = time.time()
            window.seconds, window.cpu_s = ended - begun, time.process_time() - cpu
            window.dropped = _dropped(lanes) - dropped
        scheduler.stop()
        database.close()
        window.looks = [look for look in window.looks if begun <= look[0] < ended]
        return window

    def _lane(self, journal: PatientJournal, index: int, scheduler: Scheduler, window: Window) -> Lane:
        name, config = f"camera-{index}", self.config()

        def looked(frame: Frame, looks: list[FrameResult]) -> None:
            now = time.time()
            window.looks.append((now, now - frame.at.wall.timestamp()))

        parts = LaneSetup(
            name,
            SourceTraits(live=True),
            Sessions(name, session_rules(config), name),
            make_analyses(config, self.provider, index),
            JournalCommitter(journal, name, lambda events: None),
            latency=True,
            checkpoints=False,
        )
        lane = Lane(parts, scheduler.wake)
        lane.frames.observers.add(looked)
        lane.edit(lambda: lane.idle.adopt(IdleSettings(enabled=False)))
        return lane


def _dropped(lanes: Sequence[Lane]) -> int:
    return sum(sum(lane.stats.drops.values()) for lane in lanes)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--cameras", type=int, nargs="+", default=[2, 4], help="how many at a time")
    made.add_argument("--seconds", type=float, default=8.0, help="measured time of each window")
    made.add_argument("--rounds", type=int, default=3, help="windows of each design and number of cameras")
    options = prepared(made.parse_args())
    windows: dict[tuple[int, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(options.corpus, Path(place), options.seconds)
        progress("warming up")
        for design in DESIGNS:
            bench.window(design, 1)
        for number in range(options.rounds):
            for cameras in options.cameras:
                # The order changes too: what a window leaves behind falls on both.
                for design in DESIGNS if number % 2 else reversed(DESIGNS):
                    row = bench.window(design, cameras).row()
                    progress(f"round {number + 1}: {cameras} cameras, {design}: {row['p95_ms']:.0f} ms p95")
                    windows.setdefault((cameras, design), []).append(row)
    rows = [
        {"cameras": cameras, "design": design}
        | {name: round(statistics.median(row[name] for row in found), 3) for name in found[0]}
        for (cameras, design), found in sorted(
            windows.items(), key=lambda item: (item[0][0], -DESIGNS.index(item[0][1]))
        )
    ]
    figures = {
        f"{name}_{cameras}_shared_over_workers": _ratio(windows, cameras, name)
        for cameras in options.cameras
        for name in ("looks_per_s", "p50_ms", "p95_ms", "cpu_ms_per_look")
    }
    report(options, figures=figures, rows=rows)


def _ratio(windows: dict[tuple[int, str], list[dict[str, float]]], cameras: int, name: str) -> float:
    """The median of the rounds' ratios: of two windows that ran one after the other."""
    pairs = zip(windows[cameras, "shared"], windows[cameras, "workers"], strict=True)
    return round(statistics.median(shared[name] / max(workers[name], 1e-9) for shared, workers in pairs), 3)


if __name__ == "__main__":
    main()

"""How threads and OpenVINO streams should be set: inferences a second and CPU for each, by setting and calling threads.

The detector is YOLOX-Nano at 640x384 in f32, called synchronously by N threads, each with a request of its own, as the
engine does. Wall figures need a quiet machine; CPU per inference can be read on a busy one.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import openvino as ov

from benchmarks.common import Stopwatch, parser, percentile, prepared, progress, report
from streamproc.vision.engine import ImageInput, Network, accept_images
from streamproc.vision.store import ModelStore

SIZE = (640, 384)
SETTINGS: dict[str, dict[str, Any]] = {
    "latency hint": {"PERFORMANCE_HINT": "LATENCY"},
    "throughput hint": {"PERFORMANCE_HINT": "THROUGHPUT"},
    "1 stream of 1 core": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1},
    "1 stream of N cores": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": "N"},
    "N streams of 1 core": {"NUM_STREAMS": "N", "INFERENCE_NUM_THREADS": "N"},
}
"""The last is what the engine uses, N being its workers."""


def run(network: Network, threads: int, seconds: float) -> dict[str, Any]:
    """Infer in a loop from so many threads."""
    picture = np.random.default_rng(3).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    times: list[list[float]] = [[] for _ in range(threads)]
    stop = time.monotonic() + seconds

    def work(mine: list[float]) -> None:
        network.infer_image(picture)
        while time.monotonic() < stop:
            start = time.perf_counter()
            network.infer_image(picture)
            mine.append((time.perf_counter() - start) * 1000)

    workers = [threading.Thread(target=work, args=(mine,)) for mine in times]
    with Stopwatch() as took:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    every = [each for mine in times for each in mine]
    return {
        "threads": threads,
        "per_s": round(len(every) / took.wall, 1),
        "cpu_ms": round(took.cpu * 1000 / (len(every) + threads), 1),
        "best_ms": round(min(every), 1),
        "p50_ms": round(percentile(every, 0.5) or 0.0, 1),
        "p95_ms": round(percentile(every, 0.95) or 0.0, 1),
    }


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--seconds", type=float, default=4.0, help="for each row")
    words.add_argument("--workers", type=int, default=2, help="N: calling threads, streams and cores")
    options = prepared(words.parse_args())
    path = ModelStore().get("yolox_nano").paths["model"]
    core = ov.Core()
    rows: list[dict[str, Any]] = []
    for name, chosen in SETTINGS.items():
        config = {key: options.workers if value == "N" else value for key, value in chosen.items()}
        config |= {"INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
        model = accept_images(core.read_model(path), ImageInput(*SIZE))
        network = Network(core.compile_model(model, "CPU", config), ("output",))
        for threads in dict.fromkeys((1, options.workers)):
            progress(f"{name}, {threads} threads")
            rows.append({"setting": name, **run(network, threads, options.seconds)})
    ours = rows[-1]
    report(options, figures={"engine_per_s": ours["per_s"], "engine_cpu_ms": ours["cpu_ms"]}, rows=rows)


if __name__ == "__main__":
    main()

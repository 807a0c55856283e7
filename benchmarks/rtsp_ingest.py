"""What it costs to receive cameras by RTSP over TCP: the project's own reader beside FFmpeg's, CPU of each in one run.

    python -m benchmarks.rtsp_ingest [--cameras 8] [--seconds 8] [--rounds 3] [--corpus DIR] [--json]

A process of its own plays a clip of the corpus to every connection (``tests/servers/camera.py``), three times as fast as it was recorded. The source of a
processor reads each in a thread; nothing is decoded. CPU is that of the reading process from the moment on at which all cameras give pictures. Rounds go
in turns; figures are medians.
"""

from __future__ import annotations

import multiprocessing
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import parser, prepared, progress, report
from connectors.context import ConnectorContext
from connectors.rtsp.settings import RtspSourceSettings
from connectors.rtsp.source import RtspSource
from streamproc.core.media import Packet
from tests.servers.camera import Camera

CLIP = "intel_one_by_one_person.mp4"
SPEED = 3.0
READERS = ("own", "ffmpeg")


def serve(clip: Path, ports: Any, over: Any) -> None:
    """The cameras' process."""
    camera = Camera(clip, speed=SPEED)
    ports.put(camera.url())
    over.wait()
    camera.close()


@contextmanager
def cameras(clip: Path) -> Iterator[str]:
    """The URL of a camera that plays to everybody."""
    spawn = multiprocessing.get_context("spawn")
    ports, over = spawn.Queue(), spawn.Event()
    process = spawn.Process(target=serve, args=(clip, ports, over))
    process.start()
    try:
        yield ports.get(timeout=60)
    finally:
        over.set()
        process.join(10)
        process.terminate()


def cost(url: str, reader: str, count: int, seconds: float) -> dict[str, float]:
    """CPU milliseconds an access unit, access units, and threads."""
    stop = threading.Event()
    seen = [0] * count

    def read(index: int) -> None:
        source = RtspSource(RtspSourceSettings(url=url), ConnectorContext())
        source._own_reader = reader == "own"
        for item in source.items(stop):
            seen[index] += isinstance(item, Packet)

    threads = [threading.Thread(target=read, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    while min(seen) < 5:
        time.sleep(0.05)
    before, began = sum(seen), time.process_time()
    switched = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    time.sleep(seconds)
    spent, units = time.process_time() - began, sum(seen) - before
    alive = threading.active_count() - 1
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - switched
    stop.set()
    for thread in threads:
        thread.join()
    return {"cpu_ms": 1000 * spent / units, "units": units, "threads": alive / count, "switches": switches / units}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--cameras", type=int, default=8)
    made.add_argument("--seconds", type=float, default=8.0)
    made.add_argument("--rounds", type=int, default=3)
    options = prepared(made.parse_args())
    found: dict[str, list[dict[str, float]]] = {reader: [] for reader in READERS}
    with cameras(options.corpus / "video" / CLIP) as url:
        for number in range(options.rounds):
            for reader in READERS:
                progress(f"round {number + 1}: {reader}")
                found[reader].append(cost(url, reader, options.cameras, options.seconds))
    middle = {
        reader: {key: round(median(each[key] for each in runs), 4) for key in runs[0]} for reader, runs in found.items()
    }
    rows = [{"reader": reader, **values} for reader, values in middle.items()]
    figures = {f"{reader}_cpu_ms_per_packet": values["cpu_ms"] for reader, values in middle.items()}
    ratio = middle["ffmpeg"]["cpu_ms"] / middle["own"]["cpu_ms"]
    report(options, figures=figures | {"ratio_ffmpeg_over_own": round(ratio, 2)}, rows=rows)


if __name__ == "__main__":
    main()

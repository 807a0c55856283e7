"""Many network cameras come back at once, as after a power cut.

    python -m benchmarks.cameras_connect [--cameras 64] [--away 12] [--slow 3] [--corpus DIR] [--json]

``streamproc`` is started on that many RTSP cameras (1280x720, 15 frames a second, one real GStreamer server) while none is there, and finds out
that they do not answer. After ``--away`` seconds the server begins, on the same two cores. ``--slow`` of the cameras stand behind a relay
that holds each answer to DESCRIBE back for six seconds, as cameras do that wait for a keyframe. Times count from when the server takes
connections; ``came`` is the first packet of a camera, ``first`` its first picture that was analysed, and ``start_first_s`` that of a second run, in which the cameras are there before the daemon:
from the start of the process, so that compiling of models is in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from benchmarks.camera_clips import SCENES, Maker
from benchmarks.cameras import cores, own_memory, tree_cpu
from benchmarks.common import parser, percentile, prepared, progress, report
from streamproc.cli.loop import run_loop
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.core.media import Frame, StreamItem
from streamproc.live.supervisor import Supervisor
from streamproc.server.renderers import RENDERERS
from streamproc.store.database import Database
from tests.servers.common import free_port
from tests.servers.rtsp import RtspServer, lengthen

SIZE = (1280, 720)
HELD_S = 6.0
LIMIT_S = 90.0
NODE = {"models": {"profiles": {"single": {"person": ["yolox_nano"]}}}}
LABELS = {"classes": ["PERSON"], "profile": "single", "second_look": False, "fps": 5}


class SlowRelay:
    """Passes bytes on; what a camera says first after each DESCRIBE is held back for HELD_S."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, to = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        asked: list[float] = []

        async def pump(
            source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: Callable[[bytes], Awaitable[None]]
        ) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    await note(data)
                    sink.write(data)
                    await sink.drain()
            sink.close()

        async def request(data: bytes) -> None:
            if data.startswith(b"DESCRIBE"):
                asked.append(time.monotonic())

        async def answer(data: bytes) -> None:
            if asked:
                await asyncio.sleep(max(0.0, asked.pop() + HELD_S - time.monotonic()))

        await asyncio.gather(pump(reader, to, request), pump(there, writer, answer))


class Coming:
    """One daemon's cameras, and when each was first looked at."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        self.urls = urls
        self.first: dict[str, float] = {}
        self.came: dict[str, float] = {}
        """When the first packet came."""
        self._all = asyncio.Event()
        self.supervisor = Supervisor(
            NodeConfig.model_validate(NODE), folder, Database(folder / "data"), renderers=RENDERERS
        )
        self.supervisor.notices.runs.append(self._look_on)

    async def begin(self) -> None:
        await self.supervisor.open()
        names = [f"camera-{index:03d}" for index in range(len(self.urls))]
        for name, url in zip(names, self.urls, strict=True):
            document = {"source": {"type": "rtsp", "url": url}, "session": {"mode": "continuous"}, "labels": LABELS}
            await self.supervisor.create(name, ProcessorConfig.model_validate(document))
        await asyncio.gather(*(self.supervisor.start(name) for name in names))

    async def all_there(self, since: float) -> list[float]:
        """Seconds from ``since`` until each camera's first look, of those that had one in time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all.wait(), LIMIT_S)
        return sorted(at - since for at in self.first.values())

    def _look_on(self, name: str) -> None:
        run, loop = self.supervisor.run_of(name), asyncio.get_running_loop()

        def looked(frame: Frame, results: Any) -> None:
            """Called by a worker."""
            if name not in self.first:
                self.first[name] = time.monotonic()
                if len(self.first) == len(self.urls):
                    loop.call_soon_threadsafe(self._all.set)

        def came(item: StreamItem) -> None:
            """Called by the source's thread."""
            self.came.setdefault(name, time.monotonic())

        if run is not None:
            run.lane.frames.observers.add(looked)
            run.items.add(came)


async def power_cut(options: Any, folder: Path, clip: Path) -> list[dict[str, Any]]:
    """Both runs: cameras that come back, and a daemon that begins beside cameras."""
    mounts = {f"/{index}": clip for index in range(options.cameras)}
    server = RtspServer(folder, mounts)
    relay = SlowRelay(server.port)
    await relay.start()
    urls = [server.url(path) for path in mounts]
    for index in range(options.slow):
        urls[index] = f"rtsp://127.0.0.1:{relay.port}/{index}"
    rows = []
    try:
        coming = Coming(folder / "one", urls)
        await coming.begin()
        await asyncio.sleep(options.away)
        await asyncio.to_thread(server.start)
        back, cpu = time.monotonic(), tree_cpu(os.getpid())
        waits = await coming.all_there(back)
        rows.append(
            row(
                "cameras come back",
                options,
                waits,
                came_after(coming, back),
                tree_cpu(os.getpid()) - cpu,
                time.monotonic() - back,
            )
        )
        await coming.supervisor.close(drain_s=0.0)
        begun, cpu = time.monotonic(), tree_cpu(os.getpid())
        coming = Coming(folder / "two", urls)
        await coming.begin()
        waits = await coming.all_there(begun)
        rows.append(
            row(
                "the node begins",
                options,
                waits,
                came_after(coming, begun),
                tree_cpu(os.getpid()) - cpu,
                time.monotonic() - begun,
            )
        )
        await coming.supervisor.close(drain_s=0.0)
    finally:
        server.stop()
    return rows


def came_after(coming: Coming, since: float) -> list[float]:
    """Seconds from ``since`` until each camera's first packet."""
    return sorted(at - since for at in coming.came.values())


def row(what: str, options: Any, waits: list[float], came: list[float], cpu: float, seconds: float) -> dict[str, Any]:
    progress(f"{what}: {len(waits)} of {options.cameras}")
    return {
        "what": what,
        "cameras": options.cameras,
        "answer DESCRIBE late": options.slow,
        "looked at": len(waits),
        "half_came_s": round(percentile(came, 0.5) or 0.0, 2) if came else None,
        "all_came_s": round(came[-1], 2) if len(came) == options.cameras else None,
        "first_s": round(waits[0], 2) if waits else None,
        "half_s": round(percentile(waits, 0.5) or 0.0, 2) if waits else None,
        "p90_s": round(percentile(waits, 0.9) or 0.0, 2) if waits else None,
        "last_s": round(waits[-1], 2) if len(waits) == options.cameras else None,
        "cpu": round(cpu / max(seconds, 0.01) / cores(), 2),
        "memory_mb": own_memory(),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--cameras", type=int, default=64)
    made.add_argument("--away", type=float, default=12.0, help="seconds for which the daemon looks for cameras in vain")
    made.add_argument("--slow", type=int, default=3, help="cameras that answer DESCRIBE after six seconds")
    options = prepared(made.parse_args())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("one", "two"):
            (folder / each).mkdir()
        quiet = Maker(options.corpus, size=SIZE).camera(SCENES[0], "quality", "ss")
        clip = lengthen(quiet.path, folder / "long.mp4", 300)
        rows = run_loop(power_cut(options, folder, clip))
    figures = {
        f"{each['what'].replace(' ', '_')}_{key}": each[key]
        for each in rows
        for key in ("looked at", "half_s", "last_s")
    }
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()

"""Kinesis Video on the node: what a core takes and gives, beside a bare aiohttp server that only discards, and how soon fragments are told PERSISTED.

``--streams`` and ``--seconds`` shape the load of the latency part: so many producers of 2 Mbit/s each. ``--quota`` runs the retention part: producers
far faster than their quota lasts, with readers beside them that check every fragment.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.common import parser, percentile, prepared, progress, report
from streamproc.config.node import NodeConfig
from streamproc.kinesis.setup import open_streams, serve
from streamproc.media import ebml
from streamproc.media.matroska import Cutter, Header

GOP_BYTES = 500_000
"""Two seconds at 2 Mbit/s."""
_FRAMES = 50
_TRACK = ebml.element(
    ebml.TRACKS,
    ebml.element(
        ebml.TRACK_ENTRY,
        ebml.element(ebml.TRACK_NUMBER, b"\1")
        + ebml.element(ebml.TRACK_TYPE, b"\1")
        + ebml.element(ebml.CODEC_ID, b"V_MPEG4/ISO/AVC"),
    ),
)
HEADER = ebml.element(ebml.EBML, b"") + ebml.UNKNOWN_SEGMENT + _TRACK


def gop(timecode: int, size: int = GOP_BYTES) -> bytes:
    """A cluster of unknown size with 50 blocks, as the producer SDK sends it."""
    data = os.urandom(size // _FRAMES)
    blocks = b"".join(
        ebml.element(ebml.SIMPLE_BLOCK, b"\x81" + struct.pack(">h", 40 * n) + (b"\x80" if n == 0 else b"\0") + data)
        for n in range(_FRAMES)
    )
    return bytes.fromhex("1F43B675FF") + ebml.element(ebml.TIMESTAMP, timecode.to_bytes(8, "big")) + blocks


def _serve(kind: str, folder: str, quota: int, pipe: Connection) -> None:
    """One server in a process of its own; answers each word on the pipe with its CPU seconds, memory and, at first, port."""

    async def discard(request: web.Request) -> web.Response:
        async for _ in request.content.iter_any():
            pass
        return web.Response()

    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        part = HEADER + gop(0)
        for _ in range(int(request.query["count"])):
            await response.write(part)
        return response

    async def main() -> None:
        app = web.Application()
        if kind == "bare":
            app.router.add_post("/putMedia", discard)
            app.router.add_post("/getMedia", give)
        else:
            store = {"type": "folder", "max_bytes": quota}
            node = NodeConfig.model_validate({"kinesis_video": {"store": store, "max_sessions": 1000}})
            room = await open_streams(node, Path(folder), Path(folder))
            await serve(app, room.video, node, Path(folder), {})
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        while await asyncio.to_thread(pipe.recv):
            used = os.times()
            pipe.send((used.user + used.system, _resident_mb()))

    try:
        asyncio.run(main())
    except EOFError:
        return


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Server:
    """A running one."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url = f"http://127.0.0.1:{pipe.recv()}"

    def used(self) -> tuple[float, float]:
        """(CPU seconds so far, resident MB)."""
        self._pipe.send(True)
        seconds, megabytes = self._pipe.recv()
        return seconds, megabytes


@contextmanager
def serving(kind: str, quota: int = 20 * 10**9) -> Iterator[Server]:
    folder = tempfile.mkdtemp(prefix="streamproc-kinesis-")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(kind, folder, quota, theirs), daemon=True)
    child.start()
    try:
        yield Server(ours)
    finally:
        child.terminate()
        child.join(5)
        shutil.rmtree(folder, ignore_errors=True)


async def make_streams(url: str, count: int) -> list[str]:
    names = [f"cam-{n}" for n in range(count)]
    async with aiohttp.ClientSession() as session:
        for name in names:
            async with session.post(f"{url}/createStream", json={"StreamName": name}) as answer:
                if answer.status != 200:
                    raise RuntimeError(await answer.text())
    return names


async def put(url: str, name: str, body: Any, told: list[tuple[int, float]] | None = None) -> None:
    """One PutMedia; ``told`` takes (timecode, when) of each PERSISTED."""
    headers = {"x-amzn-stream-name": name, "x-amzn-producer-start-timestamp": str(time.time())}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/putMedia", data=body, headers=headers) as answer,
    ):
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {await answer.text()}")
        async for line in answer.content:
            if told is not None and b"PERSISTED" in line:
                told.append((int(line.split(b'"FragmentTimecode":')[1].split(b",")[0]), time.perf_counter()))
            if b"ERROR" in line:
                raise RuntimeError(line.decode())


async def flood(url: str, name: str, count: int) -> None:
    async def body() -> Any:
        yield HEADER
        for n in range(count):
            yield gop(2000 * n)

    await put(url, name, body())


async def read(url: str, name: str, count: int, selector: str = "EARLIEST") -> int:
    """Bytes of the first ``count`` chunks."""
    asked = {"StreamName": name, "StartSelector": {"StartSelectorType": selector}}
    size, wanted = 0, count * GOP_BYTES
    path = f"{url}/getMedia?count={count}"
    async with aiohttp.ClientSession() as session, session.post(path, json=asked) as answer:
        async for part in answer.content.iter_any():
            size += len(part)
            if size >= wanted:
                break
    return size


def throughput(count: int) -> list[dict[str, Any]]:
    """MB a CPU second of the server, for each server and direction. Client and server run beside each other, so wall time says little."""
    rows = []
    for kind in ("bare", "node"):
        with serving(kind) as server:
            if kind == "node":
                asyncio.run(make_streams(server.url, 1))
            works: dict[str, Callable[[str, str, int], Coroutine[Any, Any, object]]] = {"in": flood, "out": read}
            for direction, work in works.items():
                before = server.used()[0]
                asyncio.run(work(server.url, "cam-0", count))
                cpu = server.used()[0] - before
                rows.append({"server": kind, "direction": direction, "MB": count * GOP_BYTES / 1e6, "mb_per_cpu_s": count * GOP_BYTES / 1e6 / cpu})  # fmt: skip
    return rows


async def _paced(url: str, name: str, seconds: float, offset: float, delays: list[float]) -> None:
    """A camera of 2 Mbit/s; a fragment's delay is from its last byte (the next one's first) to its PERSISTED."""
    ended: dict[int, float] = {}
    told: list[tuple[int, float]] = []

    async def body() -> Any:
        begin = time.perf_counter() + offset
        yield HEADER
        number, frame = 0, 0
        while time.perf_counter() - begin < seconds:
            data = gop(2000 * number)
            step = len(data) // _FRAMES + 1
            if number:
                ended[2000 * (number - 1)] = time.perf_counter()
            for at in range(0, len(data), step):
                await asyncio.sleep(max(0.0, begin + 0.04 * frame - time.perf_counter()))
                yield data[at : at + step]
                frame += 1
            number += 1
        ended[2000 * (number - 1)] = time.perf_counter()

    await put(url, name, body(), told)
    delays += [at - ended[timecode] for timecode, at in told]


def latency(streams: int, seconds: float) -> dict[str, Any]:
    delays: list[float] = []

    most = [0.0]

    async def load(server: Server) -> None:
        url = server.url
        names = await make_streams(url, streams)
        watching = asyncio.create_task(_watch_memory(server, most))
        await asyncio.gather(*(_paced(url, name, seconds, 2 * n / streams, delays) for n, name in enumerate(names)))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    with serving("node") as server:
        cpu, memory = server.used()
        asyncio.run(load(server))
        after, _ = server.used()
    camera_seconds = streams * seconds
    return {
        "streams": streams,
        "persisted_p50_ms": 1000 * statistics.median(delays),
        "persisted_p95_ms": 1000 * (percentile(delays, 0.95) or 0.0),
        "cpu_ms_per_camera_s": 1000 * (after - cpu) / camera_seconds,
        "streams_per_core": camera_seconds / (after - cpu),
        "memory_mb_per_stream": (most[0] - memory) / streams,
    }


async def _watch_memory(server: Server, most: list[float]) -> None:
    while True:
        most[0] = max(most[0], server.used()[1])
        await asyncio.sleep(0.5)


async def _checked_reader(url: str, name: str, stop: asyncio.Event, seen: list[int]) -> None:
    """Reads from the oldest on; every chunk has to be whole."""
    asked = {"StreamName": name, "StartSelector": {"StartSelectorType": "EARLIEST"}}
    timeout = aiohttp.ClientTimeout(total=None)
    path = f"{url}/getMedia"
    async with aiohttp.ClientSession(timeout=timeout) as session, session.post(path, json=asked) as answer:
        cutter = Cutter()
        while not stop.is_set():
            try:
                part = await asyncio.wait_for(answer.content.readany(), 1.0)
            except TimeoutError:
                continue
            seen[0] += sum(isinstance(event, Header) for event in cutter.feed(part))  # raises where a chunk is torn


def retention(streams: int, seconds: float, quota: int) -> dict[str, Any]:
    """Producers without a pause into a small quota, a reader beside each."""
    most, seen = [0], [0]

    async def load(url: str, folder: Path) -> None:
        names = await make_streams(url, streams)
        stop = asyncio.Event()
        readers = [asyncio.create_task(_checked_reader(url, name, stop, seen)) for name in names]
        end = time.monotonic() + seconds
        producers = [asyncio.create_task(_until(url, name, end)) for name in names]
        while not all(task.done() for task in producers):
            most[0] = max(most[0], await asyncio.to_thread(_disk, folder))
            await asyncio.sleep(0.2)
        await asyncio.gather(*producers)
        await asyncio.sleep(2)
        stop.set()
        await asyncio.gather(*readers)

    with serving("node", quota) as server:
        folder = max(Path(tempfile.gettempdir()).glob("streamproc-kinesis-*"), key=lambda path: path.stat().st_ctime)
        asyncio.run(load(server.url, folder / "kinesis-video"))
    return {"quota_mb": quota / 1e6, "most_on_disk_mb": most[0] / 1e6, "whole_chunks_read": seen[0]}


async def _until(url: str, name: str, end: float) -> None:
    async def body() -> Any:
        yield HEADER
        number = 0
        while time.monotonic() < end:
            yield gop(2000 * number)
            number += 1
            await asyncio.sleep(0.2)  # ten times as fast as the camera would be

    await put(url, name, body())


def _disk(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*.mkv"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--megabytes", type=int, default=200, help="of the throughput part")
    made.add_argument("--streams", type=int, default=10)
    made.add_argument("--seconds", type=float, default=20.0)
    made.add_argument("--quota", type=int, default=0, help="MB; runs the retention part")
    options = prepared(made.parse_args())
    progress("throughput")
    rows = throughput(options.megabytes * 1_000_000 // GOP_BYTES)
    by = {(row["server"], row["direction"]): row["mb_per_cpu_s"] for row in rows}
    figures: dict[str, Any] = {
        "in_mb_per_cpu_s": by["node", "in"],
        "in_share_of_bare": by["node", "in"] / by["bare", "in"],
        "out_mb_per_cpu_s": by["node", "out"],
        "out_share_of_bare": by["node", "out"] / by["bare", "out"],
    }
    progress("latency")
    figures |= latency(options.streams, options.seconds)
    if options.quota:
        progress("retention")
        figures |= retention(options.streams, options.seconds, options.quota * 1_000_000)
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()

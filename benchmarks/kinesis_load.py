"""A node's Kinesis Video in a process of its own, and producers for it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from streamproc.config.node import NodeConfig
from streamproc.kinesis.setup import open_streams, serve
from streamproc.media import ebml

GOP_BYTES = 500_000
"""Two seconds at 2 Mbit/s."""
FRAMES = 50
"""Of a fragment."""
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

FOLDER = {"type": "folder", "max_bytes": 20 * 10**9}


def gop(timecode: int, size: int = GOP_BYTES) -> bytes:
    """A cluster of unknown size with 50 blocks, as the producer SDK sends it."""
    data = os.urandom(size // FRAMES)
    blocks = b"".join(
        ebml.element(ebml.SIMPLE_BLOCK, b"\x81" + struct.pack(">h", 40 * n) + (b"\x80" if n == 0 else b"\0") + data)
        for n in range(FRAMES)
    )
    return bytes.fromhex("1F43B675FF") + ebml.element(ebml.TIMESTAMP, timecode.to_bytes(8, "big")) + blocks


def _serve(kind: str, folder: str, store: Mapping[str, Any], pipe: Connection) -> None:
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
            node = NodeConfig.model_validate({"kinesis_video": {"store": dict(store), "max_sessions": 1000}})
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

    def __init__(self, pipe: Connection, folder: Path, pid: int) -> None:
        self._pipe = pipe
        self.pid = pid
        self.folder = folder / "kinesis-video"
        """Where a store of the type folder has its files."""
        self.url = f"http://127.0.0.1:{pipe.recv()}"

    def used(self) -> tuple[float, float]:
        """(CPU seconds so far, resident MB)."""
        self._pipe.send(True)
        seconds, megabytes = self._pipe.recv()
        return seconds, megabytes


@contextmanager
def serving(kind: str, store: Mapping[str, Any] = FOLDER) -> Iterator[Server]:
    """``kind``: node, or bare (a server that only discards); ``store``: of ``kinesis_video``."""
    folder = tempfile.mkdtemp(prefix="streamproc-kinesis-")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(kind, folder, store, theirs), daemon=True)
    child.start()
    try:
        yield Server(ours, Path(folder), child.pid or 0)
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
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
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

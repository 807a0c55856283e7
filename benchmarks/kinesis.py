"""Kinesis Video on the node: what a core takes and gives, beside a bare aiohttp server that only discards, and how soon fragments are told PERSISTED.

``--streams`` and ``--seconds`` shape the load of the latency part: so many producers of 2 Mbit/s each. ``--quota`` also runs ``benchmarks.kinesis_retention`` with
them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from benchmarks.common import parser, percentile, prepared, progress, report
from benchmarks.kinesis_load import FRAMES, GOP_BYTES, HEADER, Server, flood, gop, make_streams, put, serving
from benchmarks.kinesis_retention import measured as retention


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
            step = len(data) // FRAMES + 1
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
        options.speed = 10.0
        figures |= retention(options)
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()

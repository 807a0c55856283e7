"""Retention under load: producers far faster than their cameras into a small quota, and a reader of each stream that checks every fragment.

    python -m benchmarks.kinesis_retention [--streams 20] [--speed 10] [--quota 200] [--seconds 60] [--json]

Each stream has 2 Mbit/s at its own pace. A fragment is whole where it has all of its blocks and all of them are of the same fragment. It fails
(exit 1) where the quota is passed or a reader sees a torn one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.common import clean_up_when_terminated, parser, report
from benchmarks.kinesis_load import FRAMES, GOP_BYTES, HEADER, Server, gop, make_streams, put, serving
from streamproc.media.matroska import Cutter
from streamproc.media.matroska_events import ClusterEnd

GOP_S = 2.0
_GRACE_S = 30.0
"""For readers to come to the end of what is there."""


class TornFragment(Exception):
    """A reader was given a part of a fragment, or parts of two."""


class Reader:
    """Reads one stream from its oldest fragment on."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self.whole = 0
        self.last = -1
        """Number of the latest fragment."""

    async def run(self) -> None:
        """Until it is cancelled. Raises TornFragment or MatroskaError."""
        asked = {"StreamName": self._name, "StartSelector": {"StartSelectorType": "EARLIEST"}}
        timeout = aiohttp.ClientTimeout(total=None)
        cutter = Cutter()
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{self._url}/getMedia", json=asked) as answer,
        ):
            async for part in answer.content.iter_any():
                for event in cutter.feed(part):
                    if isinstance(event, ClusterEnd):
                        self._check(event)

    def _check(self, cluster: ClusterEnd) -> None:
        picture = cluster.data[-(GOP_BYTES // FRAMES) :]
        if cluster.data.count(picture) != FRAMES or len(cluster.data) - FRAMES * len(picture) > 20 * FRAMES:
            raise TornFragment(f"{self._name}: a fragment of {len(cluster.data)} bytes is not whole")
        number = cluster.timecode_ms // round(1000 * GOP_S)
        if number <= self.last:
            raise TornFragment(f"{self._name}: fragment {number} came after {self.last}")
        self.whole, self.last = self.whole + 1, number


class Load:
    """Producers and readers of one server."""

    def __init__(self, server: Server, options: argparse.Namespace) -> None:
        self._server = server
        self._options = options
        self.sent = 0
        self.most_on_disk = 0
        self.readers: list[Reader] = []

    async def run(self) -> None:
        names = await make_streams(self._server.url, self._options.streams)
        self.readers = [Reader(self._server.url, name) for name in names]
        reading = [asyncio.create_task(reader.run()) for reader in self.readers]
        end = time.monotonic() + self._options.seconds
        sending = [asyncio.create_task(put(self._server.url, name, self._body(end))) for name in names]
        try:
            while not all(task.done() for task in sending):
                self._stop_where_broken(reading)
                self.most_on_disk = max(self.most_on_disk, on_disk(self._server))
                await asyncio.sleep(0.5)
            await asyncio.gather(*sending)
            await self._all_read(reading)
        finally:
            for task in [*reading, *sending]:
                task.cancel()
            await asyncio.gather(*reading, *sending, return_exceptions=True)

    async def _body(self, end: float) -> AsyncIterator[bytes]:
        yield HEADER
        begin, number = time.monotonic(), 0
        while time.monotonic() < end:
            yield gop(round(1000 * GOP_S) * number)
            number += 1
            self.sent += 1
            await asyncio.sleep(max(0.0, begin + number * GOP_S / self._options.speed - time.monotonic()))

    async def _all_read(self, reading: list[asyncio.Task[None]]) -> None:
        until, before = time.monotonic() + _GRACE_S, -1
        while (count := sum(reader.whole for reader in self.readers)) != before and time.monotonic() < until:
            before = count
            await asyncio.sleep(2)
            self._stop_where_broken(reading)

    @staticmethod
    def _stop_where_broken(reading: list[asyncio.Task[None]]) -> None:
        for task in reading:
            if task.done():
                task.result()
                raise TornFragment("a reader's answer ended")


def on_disk(server: Server) -> int:
    """Bytes of all fragments at one instant, those that are being written too: the server stands still meanwhile."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        while not all(_stands(stat) for stat in Path(f"/proc/{server.pid}/task").glob("*/stat")):
            time.sleep(0.001)  # a thread ends its system call first
        return sum(path.stat().st_size for path in server.folder.rglob("*.mkv"))
    finally:
        os.kill(server.pid, signal.SIGCONT)


def _stands(stat: Path) -> bool:
    return stat.read_text().rpartition(")")[2].split()[0] == "T"


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Raises TornFragment, and RuntimeError where the quota was not held."""
    quota = options.quota * 1_000_000
    with serving("node", {"type": "folder", "max_bytes": quota}) as server:
        load = Load(server, options)
        begin = time.monotonic()
        asyncio.run(load.run())
        took = time.monotonic() - begin
        memory = server.used()[1]
    if load.most_on_disk > quota:
        raise RuntimeError(f"{load.most_on_disk} bytes were on disk with a quota of {quota}")
    return {
        "streams": options.streams,
        "seconds": round(took, 1),
        "speed": round(load.sent * GOP_S / options.streams / options.seconds, 1),
        "written_mb": round(load.sent * GOP_BYTES / 1e6),
        "quota_mb": options.quota,
        "most_on_disk_mb": round(load.most_on_disk / 1e6, 1),
        "whole_fragments_read": sum(reader.whole for reader in load.readers),
        "torn_fragments_read": 0,
        "server_memory_mb": round(memory, 1),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--streams", type=int, default=20)
    made.add_argument("--speed", type=float, default=10.0, help="times the pace of a camera")
    made.add_argument("--quota", type=int, default=200, help="MB")
    made.add_argument("--seconds", type=float, default=60.0)
    options = made.parse_args()
    clean_up_when_terminated()
    report(options, figures=measured(options))


if __name__ == "__main__":
    main()

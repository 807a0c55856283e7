"""Signed DescribeStreamProcessor calls beside a bare one-line handler of the same HTTP library, in the same run.

Each server is a process of its own; one client sends to both at the same rate, so that whatever else the machine does hits both
alike. First the endpoint alone (``idle``), then the whole daemon while a processor watches a clip in real time (``busy``): its dropped
frames are counted. ``--rate`` is the request rate that each server gets.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.common import parser, percentile, prepared, progress, report
from streamproc.aws.http import mount
from streamproc.aws.operations.all import handlers
from streamproc.aws.ports import ProcessorView
from streamproc.aws.service import operation_models
from streamproc.aws.setup import EndpointServices, make_core
from streamproc.aws.wire import Endpoint
from streamproc.aws_protocol.keys import Key
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.jobs.build import open_jobs
from streamproc.perception.provider import ModelProvider
from streamproc.perception.stills import Stills
from streamproc.store.database import Database

ACCESS_KEY, SECRET = "AKIDBENCHMARK", "benchmark"
NAME = "front-door"


class OneProcessor:
    """The supervisor's part of a Describe is a look into a dictionary; the rest of it is what is measured."""

    def __init__(self) -> None:
        config = ProcessorConfig.model_validate(
            {
                "source": {"type": "rtsp", "url": "rtsp://127.0.0.1/cam"},
                "labels": {},
                "regions": [_region(n) for n in range(3)],
            }
        )
        now = datetime.now(UTC)
        self._views = {NAME: ProcessorView(NAME, config, "running", None, now, now)}

    async def view(self, name: str) -> ProcessorView:
        return self._views[name]


def _region(number: int) -> dict[str, Any]:
    return {"box": {"left": 0.3 * number, "top": 0.1, "width": 0.3, "height": 0.5}}


def _endpoint() -> Endpoint:
    folder = Path(tempfile.mkdtemp(prefix="streamproc-endpoint-"))
    config, database = NodeConfig(), Database(folder)
    provider = ModelProvider(config, folder, workers=2)
    box = EndpointServices(
        config=config,
        folder=folder,
        database=database,
        processors=OneProcessor(),  # type: ignore[arg-type]
        faces=provider.faces,
        jobs=open_jobs(database, provider),
        stills=Stills(provider.objects),
    )
    return Endpoint(operation_models(), handlers(make_core(box)), {ACCESS_KEY: Key(ACCESS_KEY, SECRET)})


async def _bare(request: web.Request) -> web.Response:
    return web.json_response({"Name": NAME})


def _serve(kind: str, ready: Connection) -> None:
    """One server, in a process of its own, until its pipe closes."""

    async def main() -> None:
        app = web.Application()
        if kind == "bare":
            app.router.add_post("/", _bare)
        else:
            mount(app, _endpoint())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.send(runner.addresses[0][1])
        await asyncio.to_thread(_wait_for_close, ready)

    asyncio.run(main())


def _wait_for_close(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        return


def _signed(port: int) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"Name": NAME}).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "RekognitionService.DescribeStreamProcessor",
        "Host": f"127.0.0.1:{port}",
    }
    request = AWSRequest("POST", f"http://127.0.0.1:{port}/", headers=headers, data=body)
    SigV4Auth(Credentials(ACCESS_KEY, SECRET), "rekognition", "us-east-1").add_auth(request)
    return dict(request.headers.items()), body


async def _one(session: aiohttp.ClientSession, port: int, headers: dict[str, str], body: bytes) -> float:
    began = time.perf_counter()
    async with session.post(f"http://127.0.0.1:{port}/", data=body, headers=headers) as response:
        answer = await response.read()
    took = time.perf_counter() - began
    if response.status != 200 or NAME.encode() not in answer:
        raise RuntimeError(f"{response.status}: {answer[:200]!r}")
    return took * 1000


async def _measure(ports: dict[str, int], seconds: float, rate: float) -> dict[str, list[float]]:
    """Milliseconds by server. Requests are signed anew each time, as clients do; signing is not timed."""
    took: dict[str, list[float]] = {kind: [] for kind in ports}
    async with aiohttp.ClientSession() as session:

        async def client(kind: str, offset: float) -> None:
            began = time.monotonic() + offset
            number = 0
            while (due := began + number / rate) < began + seconds:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                headers, body = _signed(ports[kind])
                took[kind].append(await _one(session, ports[kind], headers, body))
                number += 1

        await asyncio.gather(*(client(kind, index / rate / len(ports)) for index, kind in enumerate(ports)))
    return took


async def _warmed(ports: dict[str, int], seconds: float, rate: float) -> dict[str, list[float]]:
    await _measure(ports, min(2.0, seconds), rate)
    return await _measure(ports, seconds, rate)


@contextmanager
def _child(kind: str) -> Iterator[int]:
    """The port of a small server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(kind, theirs), daemon=True)
    child.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        child.join(5)
        if child.is_alive():
            child.terminate()


@contextmanager
def _daemon(clip: Path) -> Iterator[int]:
    """The port of ``streamproc serve`` with one processor that watches ``clip`` over and over."""
    with tempfile.TemporaryDirectory(prefix="streamproc-endpoint-") as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        key = {"access_key_id": ACCESS_KEY, "secret_access_key_env": "BENCHMARK_SECRET"}
        box = {
            "server": {"listen": f"127.0.0.1:{port}", "credentials": [key]},
            "stores": {"data_dir": str(folder / "data")},
        }
        processor = {
            "source": {"type": "file", "path": str(clip), "realtime": True, "loop": True},
            "session": {"mode": "continuous"},
            "labels": {"classes": ["PERSON"]},
        }
        (folder / "processors").mkdir()
        (folder / "streamproc.yaml").write_text(json.dumps(box))
        (folder / "processors" / f"{NAME}.yaml").write_text(json.dumps(processor))
        command = [sys.executable, "-m", "streamproc", "serve", "--config-dir", name, "--log-level", "error"]
        child = subprocess.Popen(command, env=os.environ | {"BENCHMARK_SECRET": SECRET})
        try:
            _until(lambda: (_counted(port).get("streamproc_frames_analysed_total") or 0) > 20)
            yield port
        finally:
            child.terminate()
            child.wait(30)


def _until(ready: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError("the daemon does not get to look at frames")
        time.sleep(0.5)


def _counted(port: int) -> dict[str, float]:
    """The daemon's counters, summed over their labels."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except (URLError, OSError):
        return {}
    counted: dict[str, float] = {}
    for line in lines:
        if line.startswith("streamproc_frames_"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            counted[name] = counted.get(name, 0.0) + float(value)
    return counted


def _rows(condition: str, took: dict[str, list[float]]) -> list[dict[str, Any]]:
    return [
        {
            "condition": condition,
            "server": kind,
            "requests": len(times),
            "p50_ms": percentile(times, 0.5),
            "p90_ms": percentile(times, 0.9),
            "p99_ms": percentile(times, 0.99),
        }
        for kind, times in took.items()
    ]


def _figures(prefix: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    by = {row["server"]: row for row in rows}
    figures = {f"{prefix}{kind}_{name}": by[kind][name] for kind in by for name in ("p50_ms", "p99_ms")}
    for name in ("p50", "p99"):
        figures[f"{prefix}{name}_ratio"] = by["endpoint"][f"{name}_ms"] / by["bare"][f"{name}_ms"]
    return figures


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=15.0)
    made.add_argument("--rate", type=float, default=200.0, help="requests a second to each server")
    options = prepared(made.parse_args())
    clip = options.corpus / "video" / "intel_one_by_one_person.mp4"
    with _child("bare") as bare:
        progress("idle")
        with _child("endpoint") as endpoint:
            took = asyncio.run(_warmed({"bare": bare, "endpoint": endpoint}, options.seconds, options.rate))
        rows = _rows("idle", took)
        figures = _figures("", rows)
        if clip.is_file():
            progress("busy")
            with _daemon(clip) as port:
                before = _counted(port)
                took = asyncio.run(_warmed({"bare": bare, "endpoint": port}, options.seconds, options.rate))
                after = _counted(port)
            busy = _rows("busy", took)
            rows += busy
            figures |= _figures("busy_", busy)
            for name in ("analysed", "dropped"):
                key = f"streamproc_frames_{name}_total"
                figures[f"busy_frames_{name}"] = after.get(key, 0.0) - before.get(key, 0.0)
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()

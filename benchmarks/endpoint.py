"""Signed DescribeStreamProcessor calls beside a bare one-line handler of the same HTTP library, in the same run.

Both servers run in one child process each; one client sends to both in turns, so that whatever else the machine does hits both
alike. ``--rate`` is the request rate that is held (0: as fast as the answers come).
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.common import parser, percentile, prepared, progress, report
from streamproc.aws.http import mount
from streamproc.aws.keys import Key
from streamproc.aws.operations.all import handlers
from streamproc.aws.ports import ProcessorView
from streamproc.aws.service import operation_models
from streamproc.aws.setup import Box, make_core
from streamproc.aws.wire import Endpoint
from streamproc.config.box import BoxConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.faces.service import open_service
from streamproc.jobs.build import open_jobs
from streamproc.jobs.stills import Stills
from streamproc.store.database import Database
from streamproc.vision.zoo import open_zoo

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
    config, database = BoxConfig(), Database(folder)
    box = Box(
        config=config,
        folder=folder,
        database=database,
        processors=OneProcessor(),  # type: ignore[arg-type]
        faces=open_service(folder),
        jobs=open_jobs(database, config, folder),
        stills=Stills(lambda: open_zoo(config.models)),
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
    took: dict[str, list[float]] = {kind: [] for kind in ports}
    async with aiohttp.ClientSession() as session:
        ends = time.monotonic() + seconds
        next_at = time.monotonic()
        while time.monotonic() < ends:
            for kind, port in ports.items():
                # Signed anew each time, as clients do; signing is not timed.
                headers, body = _signed(port)
                took[kind].append(await _one(session, port, headers, body))
                if rate:
                    next_at += 1 / rate
                    await asyncio.sleep(max(0.0, next_at - time.monotonic()))
    return took


def _with_servers(measure: Callable[[dict[str, int]], Awaitable[dict[str, list[float]]]]) -> dict[str, list[float]]:
    context = multiprocessing.get_context("spawn")
    ports, children = {}, []
    for kind in ("bare", "endpoint"):
        ours, theirs = context.Pipe()
        child = context.Process(target=_serve, args=(kind, theirs), daemon=True)
        child.start()
        children.append((child, ours))
        ports[kind] = ours.recv()
    try:
        return asyncio.run(measure(ports))  # type: ignore[arg-type]
    finally:
        for child, ours in children:
            ours.send(None)
            child.join(5)
            if child.is_alive():
                child.terminate()


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=15.0)
    made.add_argument("--rate", type=float, default=200.0, help="requests a second, both servers together; 0: no pause")
    options = prepared(made.parse_args())
    progress("warming up")
    took = _with_servers(lambda ports: _run(ports, options.seconds, options.rate))
    rows = [
        {
            "server": kind,
            "requests": len(times),
            "p50_ms": percentile(times, 0.5),
            "p90_ms": percentile(times, 0.9),
            "p99_ms": percentile(times, 0.99),
        }
        for kind, times in took.items()
    ]
    by = {row["server"]: row for row in rows}
    figures = {f"{kind}_{name}": by[kind][name] for kind in ("endpoint", "bare") for name in ("p50_ms", "p99_ms")}
    figures |= {
        f"{name}_ratio": by["endpoint"][f"{name}_ms"] / by["bare"][f"{name}_ms"]
        for name in ("p50", "p99")  # type: ignore[operator]
    }
    report(options, figures=figures, rows=rows)


async def _run(ports: dict[str, int], seconds: float, rate: float) -> dict[str, list[float]]:
    await _measure(ports, min(2.0, seconds), 0)
    return await _measure(ports, seconds, rate)


if __name__ == "__main__":
    main()

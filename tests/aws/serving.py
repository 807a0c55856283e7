"""The endpoint on a loopback port, in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from aiohttp import web
from botocore.config import Config

from streamproc.aws.http import mount
from streamproc.aws.wire import Endpoint
from tests.aws.signing import ACCESS_KEY, SECRET


@contextmanager
def serving(endpoint: Endpoint, **options: Any) -> Iterator[str]:
    """Its URL while the block runs."""
    loop = asyncio.new_event_loop()
    ready: list[str] = []
    up = threading.Event()
    done = asyncio.Event()

    async def main() -> None:
        app = web.Application()
        mount(app, endpoint, **options)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        ready.append(f"http://{host}:{port}")
        up.set()
        await done.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


def client(url: str, mode: str = "standard", **options: Any) -> Any:
    """boto3 as a user has it."""
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name=options.pop("region", "us-east-1"),
        aws_access_key_id=options.pop("access_key", ACCESS_KEY),
        aws_secret_access_key=options.pop("secret", SECRET),
        config=Config(retries={"mode": mode, "max_attempts": 2}, read_timeout=30),
        **options,
    )

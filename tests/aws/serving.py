"""The endpoint on a loopback port, in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import boto3
from aiohttp import web
from botocore.config import Config

from streamproc.aws.http import mount
from streamproc.aws.wire import Endpoint
from tests.aws.record import note_answer
from tests.aws.signing import ACCESS_KEY, SECRET

_SESSION = boto3.Session()
"""Shared, because each reads the service's model anew."""
_clients: list[Any] = []
"""Those of the running endpoints; their connections end with them."""


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
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        ready.append(f"http://{host}:{port}")
        up.set()
        await done.wait()
        await runner.cleanup()
        handlers = asyncio.all_tasks() - {
            asyncio.current_task()
        }  # of requests that were refused before their body came
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield ready[0]
    finally:
        for made in [each for each in _clients if each.meta.endpoint_url == ready[0]]:
            made.close()
            _clients.remove(made)
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


def client(url: str, mode: str = "standard", **options: Any) -> Any:
    """boto3 as a user has it. Every answer is checked: botocore must find all that was sent, and know all of it."""
    made = _SESSION.client(
        "rekognition",
        endpoint_url=url,
        region_name=options.pop("region", "us-east-1"),
        aws_access_key_id=options.pop("access_key", ACCESS_KEY),
        aws_secret_access_key=options.pop("secret", SECRET),
        config=Config(retries={"mode": mode, "max_attempts": 2}, read_timeout=30),
        **options,
    )
    _clients.append(made)
    raw: list[bytes] = []
    made.meta.events.register("before-parse.rekognition", lambda response_dict, **_: raw.append(response_dict["body"]))
    made.meta.events.register(
        "after-call.rekognition", lambda parsed, model, **_: _compare(model.name, json.loads(raw[-1]), parsed)
    )
    return made


def _compare(operation: str, sent: Any, parsed: Any) -> None:
    if "Error" in parsed:
        return
    found = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
    assert _plain(found) == sent
    note_answer(operation, sent)


def _plain(value: Any) -> Any:
    """What botocore parsed, as the JSON was."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value

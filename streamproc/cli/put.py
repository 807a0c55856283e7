"""``streamproc put``: a file or a camera into a stream by PutMedia."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamproc.cli.control import DEFAULT_URL
from streamproc.cli.output import errors_said, put_json, say, set_up_logs
from streamproc.cli.publish import feed_settings
from streamproc.core.errors import InputError

if TYPE_CHECKING:
    from connectors.kvs.put import PutSession
    from streamproc.core.video_log import Recorded

FILE_PATIENCE_S = 600.0
"""How long the service may be away while a file is sent; a camera waits for ever."""


def put(
    source: Annotated[str, typer.Argument(help="A video file, or rtsp://...")],
    stream: Annotated[str, typer.Option(help="The stream's name; made where it is missing and that is allowed.")],
    endpoint_url: Annotated[
        str | None, typer.Option(help="Of the service; AWS_ENDPOINT_URL_KINESIS_VIDEO, else the node on this host.")
    ] = None,
    region: Annotated[str, typer.Option(envvar="AWS_DEFAULT_REGION")] = "us-east-1",
    realtime: Annotated[bool, typer.Option("--realtime", help="A file at the pace it was recorded.")] = False,
    username_env: Annotated[str | None, typer.Option(help="Environment variable with the camera's user.")] = None,
    password_env: Annotated[str | None, typer.Option(help="Environment variable with the password.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line an acknowledgement.")] = False,
) -> None:
    """Send a video, packets as they are, into a Kinesis video stream. Access keys by the usual AWS chain."""
    set_up_logs(as_json, "warning")
    with errors_said():
        feed = feed_settings(source, realtime, False, username_env, password_env)
        from connectors.chain import chain_endpoint
        from connectors.kvs.put import PutSession

        url = endpoint_url or chain_endpoint("kinesis_video") or os.environ.get("STREAMPROC_URL") or DEFAULT_URL
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        stored = asyncio.run(_put(lambda: PutSession(stream, region, url), feed, stop, as_json))
        say(f"{stored} fragments are stored in {stream}")


async def _put(session: Callable[[], PutSession], feed: dict[str, Any], stop: threading.Event, as_json: bool) -> int:
    """How many were told PERSISTED. Raises StreamprocError where not all were."""
    from connectors.kvs.delivery import Delivery

    def hear(ack: dict[str, Any]) -> None:
        if as_json:
            put_json(ack)

    fragments = _fragments(feed, stop)
    patience = FILE_PATIENCE_S if feed["type"] == "file" else float("inf")
    try:
        stored = await Delivery(session, hear=hear, say=say, patience_s=patience).run(fragments)
    finally:
        stop.set()
    if not stored:
        raise InputError(f"{feed.get('path') or feed.get('url')}: there is no video in it that can be sent")
    return stored


def _fragments(feed: dict[str, Any], stop: threading.Event) -> Iterator[tuple[int, bytes]]:
    """(Timecode in ms, fragment) with absolute timecodes: the wall time of each frame."""
    from connectors.kvs.put import absolute

    for fragment in _cut(feed, stop):
        begins_ms = round(fragment.begins.timestamp() * 1000)
        yield begins_ms, absolute(fragment.data, begins_ms)


def _cut(feed: dict[str, Any], stop: threading.Event) -> Iterator[Recorded]:
    from connectors.catalog import make_source
    from connectors.context import ConnectorContext
    from streamproc.config.processor import ConnectorRef
    from streamproc.core.errors import SourceRefused
    from streamproc.core.media import Gap, Packet
    from streamproc.media.recorded import RecordingCutter

    reader = make_source(ConnectorRef.model_validate(feed), ConnectorContext(processor="put", base_dir=Path.cwd()))
    cutter = RecordingCutter()
    try:
        for item in reader.items(stop):
            if isinstance(item, Packet):
                yield from cutter.add(item)
            elif isinstance(item, Gap):
                say(f"the source is away: {item.detail}")
                yield from cutter.finish()
    except SourceRefused as error:
        raise InputError(str(error)) from None
    yield from cutter.finish()

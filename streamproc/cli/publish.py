"""``streamproc publish``: a file or a camera into a Kafka topic of fragments."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from streamproc.cli.output import errors_said, put, put_json, say, set_up_logs
from streamproc.core.errors import InputError, SinkBusy

RETRY_S = 60.0
"""How long the brokers may be away before publishing gives up."""


class Container(StrEnum):
    mkv = "mkv"
    ts = "ts"
    mp4 = "mp4"


def publish(
    source: Annotated[str, typer.Argument(help="A video file, or rtsp://...")],
    kafka: Annotated[str, typer.Option(help="HOST:PORT of the brokers, separated by commas.")],
    topic: Annotated[str, typer.Option(help="Made where it is missing.")],
    stream: Annotated[str, typer.Option(help="The stream's name: the messages' key.")],
    realtime: Annotated[bool, typer.Option("--realtime", help="A file at the pace it was recorded.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="A file again and again.")] = False,
    fragment_seconds: Annotated[float, typer.Option(min=0.5, max=10, help="Wanted length; cut at keyframes.")] = 2.0,
    container: Annotated[Container, typer.Option("--format", help="Container of each fragment.")] = Container.mkv,
    username_env: Annotated[str | None, typer.Option(help="Environment variable with the camera's user.")] = None,
    password_env: Annotated[str | None, typer.Option(help="Environment variable with the password.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a fragment.")] = False,
) -> None:
    """Cut a video into self-contained fragments and put them into a Kafka topic, as a camera's producer would."""
    set_up_logs(as_json)
    with errors_said():
        feed = feed_settings(source, realtime, loop, username_env, password_env)
        _publish(
            feed, {"bootstrap_servers": kafka, "topic": topic}, stream, (container.value, fragment_seconds), as_json
        )


def feed_settings(
    source: str, realtime: bool, loop: bool, username_env: str | None, password_env: str | None
) -> dict[str, Any]:
    """The source's settings."""
    if re.match(r"rtsps?://", source, re.IGNORECASE):
        secrets = {"username_env": username_env, "password_env": password_env}
        return {"type": "rtsp", "url": source} | {name: value for name, value in secrets.items() if value}
    if not Path(source).is_file():
        raise InputError(f"{source}: there is no such file; give a video file or an rtsp:// URL")
    return {"type": "file", "path": source, "realtime": realtime, "loop": loop}


def _publish(feed: dict[str, Any], kafka: dict[str, str], stream: str, cut: tuple[str, float], as_json: bool) -> None:
    from pydantic import ValidationError

    from connectors.catalog import make_source
    from connectors.context import ConnectorContext
    from connectors.kafka.publisher import FragmentPublisher
    from connectors.kafka.settings import KafkaConnection
    from streamproc.config.processor import ConnectorRef

    context = ConnectorContext(processor=f"publish-{stream}", base_dir=Path.cwd())
    try:
        reader = make_source(ConnectorRef.model_validate(feed), context)
        settings = KafkaConnection.model_validate(kafka)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    runner = asyncio.new_event_loop()
    publisher = FragmentPublisher(settings, context, stream)
    try:
        runner.run_until_complete(publisher.start())
        for fragment in _fragments(reader, stop, cut):
            receipt = runner.run_until_complete(_send(publisher, fragment))
            milliseconds = round(fragment.at.wall.timestamp() * 1000)
            producer_time = datetime.fromtimestamp(milliseconds / 1000, UTC)
            line = {
                "number": receipt.number,
                "producer_timestamp": milliseconds,
                "producer_time": producer_time.isoformat(timespec="milliseconds"),
                "offset": receipt.offset,
                "partition": receipt.partition,
                "seconds": round(float(fragment.seconds), 3),
                "bytes": len(fragment.data),
            }
            if as_json:
                put_json(line)
            else:
                put(f"{receipt.number:>8}  {line['producer_time']}  offset {receipt.offset}  {line['seconds']:.2f} s")
    finally:
        runner.run_until_complete(publisher.stop())
        runner.close()


def _fragments(reader: Any, stop: threading.Event, cut: tuple[str, float]) -> Iterator[Any]:
    """The feed's fragments until it ends or ``stop`` is set; what is complete by then still comes."""
    from streamproc.core.errors import SourceRefused
    from streamproc.core.media import EndOfStream, Gap, Packet
    from streamproc.media.fragmenter import Fragmenter

    name, seconds = cut
    fragmenter = Fragmenter(name, Fraction(seconds).limit_denominator(1000), say)
    try:
        for item in reader.items(stop):
            match item:
                case Packet():
                    yield from fragmenter.add(item)
                case Gap():
                    say(f"the source is away: {item.detail}")
                    yield from fragmenter.finish()
                case EndOfStream():
                    if item.reason != "end":
                        say(item.reason)
    except SourceRefused as error:
        raise InputError(str(error)) from None
    yield from fragmenter.finish()


async def _send(publisher: Any, fragment: Any) -> Any:
    """Try until the brokers took it, or were away for too long."""
    deadline = asyncio.get_running_loop().time() + RETRY_S
    while True:
        try:
            return await publisher.send(fragment.data, fragment.at.wall)
        except SinkBusy as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            say(f"the brokers are away, trying again: {error}")
            await asyncio.sleep(1.0)

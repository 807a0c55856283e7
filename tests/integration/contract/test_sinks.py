"""Every sink of the catalogue: it delivers, may be told twice, and says busy, denied or rejected where that is what it is."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiomqtt
import boto3
import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer

from connectors.catalog import TABLE, make_sink
from connectors.context import ConnectorContext
from connectors.kafka import sink as kafka_sink
from connectors.stdout import sink as stdout_sink
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Delivery, Sink
from streamproc.core.errors import SinkBusy, SinkDenied, SinkRejected
from streamproc.core.event import Pictures
from streamproc.plain import render_plain
from tests.builders.events import label_event
from tests.daemon import free_port

SINKS = sorted(name for name, entry in TABLE.items() if entry.sink is not None)
ONLY_ONCE = {"file", "s3"}
"""Sinks that recognise an event they have taken before; readers of the others do, by the event's id."""


class Place:
    """A sink's outside. Subclasses exist once per sink of the catalogue; None where a case cannot be had."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        self.folder = folder
        self.request = request

    async def open(self) -> None:
        """Before anything else is called."""

    async def close(self) -> None:
        """Nothing of it is left."""

    def ref(self) -> dict[str, Any]:
        raise NotImplementedError

    async def ids(self) -> list[str]:
        """Of the events that arrived, in the order in which they did."""
        raise NotImplementedError

    def away(self) -> dict[str, Any] | None:
        """Settings that lead where nobody answers."""
        return None

    def missing(self) -> dict[str, Any] | None:
        """Settings that name what is not there: somebody has to make it."""
        return None

    too_large: int | None = None
    """Bytes of an event that it never takes."""


class FilePlace(Place):
    def ref(self) -> dict[str, Any]:
        return {"type": "file", "directory": str(self.folder / "out")}

    async def ids(self) -> list[str]:
        lines = [line for path in (self.folder / "out").glob("*.jsonl") for line in path.read_text().splitlines()]
        return [json.loads(line)["id"] for line in lines]

    def away(self) -> dict[str, Any]:
        (self.folder / "a-file").write_text("where a folder should be")
        return {"type": "file", "directory": str(self.folder / "a-file" / "out")}


class StdoutPlace(Place):
    async def open(self) -> None:
        self.printed = io.StringIO()
        self.request.getfixturevalue("monkeypatch").setattr(stdout_sink, "sys", SimpleNamespace(stdout=self.printed))

    def ref(self) -> dict[str, Any]:
        return {"type": "stdout"}

    async def ids(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.printed.getvalue().splitlines()]


class MqttPlace(Place):
    async def open(self) -> None:
        self.broker = self.request.getfixturevalue("mosquitto")()
        self.arrived: list[str] = []
        subscribed = asyncio.Event()
        self._listener = asyncio.create_task(self._listen(subscribed))
        await asyncio.wait_for(subscribed.wait(), 20)

    async def close(self) -> None:
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)

    async def _listen(self, subscribed: asyncio.Event) -> None:
        async with aiomqtt.Client(self.broker.host, self.broker.port) as client:
            await client.subscribe("streamproc/+/door/event", qos=1)
            subscribed.set()
            async for message in client.messages:
                self.arrived.append(json.loads(bytes(message.payload))["id"])

    def ref(self) -> dict[str, Any]:
        return {"type": "mqtt", "host": self.broker.host, "port": self.broker.port}

    async def ids(self) -> list[str]:
        await asyncio.sleep(1)  # from the broker to its subscriber
        return self.arrived

    def away(self) -> dict[str, Any]:
        return self.ref() | {"port": free_port()}


class KafkaPlace(Place):
    too_large = 4000

    async def open(self) -> None:
        self.bootstrap = self.request.getfixturevalue("kafka").bootstrap
        self.topic = f"contract-{uuid.uuid4().hex[:8]}"
        self.request.getfixturevalue("monkeypatch").setattr(kafka_sink, "_PATIENCE_S", 5.0)

    def ref(self) -> dict[str, Any]:
        return {"type": "kafka", "bootstrap_servers": self.bootstrap, "topic": self.topic, "max_bytes": 3000}

    async def ids(self) -> list[str]:
        consumer = AIOKafkaConsumer(self.topic, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        found: list[str] = []
        while batch := await consumer.getmany(timeout_ms=3000):
            found += [dict(item.headers)["id"].decode() for items in batch.values() for item in items]
        await consumer.stop()
        return found

    def away(self) -> dict[str, Any]:
        return {"type": "kafka", "bootstrap_servers": f"127.0.0.1:{free_port()}", "topic": self.topic}


class AwsPlace(Place):
    """Of a service that moto serves."""

    async def open(self) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self.request.getfixturevalue("monkeypatch").setenv(name, "testing")
        self.url = self.request.getfixturevalue("moto_server")
        self.name = f"contract-{uuid.uuid4().hex[:8]}"
        await asyncio.to_thread(self.make)

    def make(self) -> None:
        raise NotImplementedError

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1")

    async def ids(self) -> list[str]:
        return [json.loads(each)["id"] for each in await asyncio.to_thread(self.read)]

    def read(self) -> list[str]:
        raise NotImplementedError

    def away(self) -> dict[str, Any]:
        return self.ref() | {"endpoint_url": f"http://127.0.0.1:{free_port()}"}


class KinesisPlace(AwsPlace):
    too_large = 1_100_000

    def make(self) -> None:
        kinesis = self.client("kinesis")
        kinesis.create_stream(StreamName=self.name, ShardCount=1)
        self.arn = kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]["StreamARN"]

    def ref(self) -> dict[str, Any]:
        return {"type": "kinesis", "stream_arn": self.arn, "endpoint_url": self.url, "format": "plain", "events": ["label_detected"]}  # fmt: skip

    def missing(self) -> dict[str, Any]:
        return self.ref() | {"stream_arn": self.arn + "-missing"}

    def read(self) -> list[str]:
        kinesis = self.client("kinesis")
        shard = kinesis.list_shards(StreamName=self.name)["Shards"][0]["ShardId"]
        options = {"StreamName": self.name, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**options)["ShardIterator"]
        return [record["Data"].decode() for record in kinesis.get_records(ShardIterator=iterator)["Records"]]


class SnsPlace(AwsPlace):
    too_large = 300_000

    def make(self) -> None:
        sns, sqs = self.client("sns"), self.client("sqs")
        self.arn = sns.create_topic(Name=self.name)["TopicArn"]
        self.queue = sqs.create_queue(QueueName=self.name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=attributes["QueueArn"])

    def ref(self) -> dict[str, Any]:
        return {"type": "sns", "topic_arn": self.arn, "endpoint_url": self.url, "format": "plain"}

    def missing(self) -> dict[str, Any]:
        return self.ref() | {"topic_arn": self.arn + "-missing"}

    def read(self) -> list[str]:
        answer = self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"])["Message"] for message in answer.get("Messages", [])]


class S3Place(AwsPlace):
    def make(self) -> None:
        self.client("s3").create_bucket(Bucket=self.name)

    def ref(self) -> dict[str, Any]:
        return {"type": "s3", "bucket": self.name, "endpoint_url": self.url, "format": "plain"}

    def missing(self) -> dict[str, Any]:
        return self.ref() | {"bucket": self.name + "-missing"}

    def read(self) -> list[str]:
        s3 = self.client("s3")
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=self.name).get("Contents", [])]
        return [
            s3.get_object(Bucket=self.name, Key=key)["Body"].read().decode() for key in keys if key.endswith(".json")
        ]


class WebhookPlace(Place):
    """An HTTP server that takes events up to 5000 bytes, as its 413 says."""

    too_large = 6000

    async def open(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        app = web.Application(client_max_size=5000)
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        self.port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.Response()

    def ref(self) -> dict[str, Any]:
        return {"type": "webhook", "url": f"http://127.0.0.1:{self.port}/hook"}

    async def ids(self) -> list[str]:
        return [body["id"] for body in self.bodies]

    def away(self) -> dict[str, Any]:
        return {"type": "webhook", "url": f"http://127.0.0.1:{free_port()}/hook"}


PLACES: dict[str, Callable[[Path, pytest.FixtureRequest], Place]] = {
    "file": FilePlace,
    "kafka": KafkaPlace,
    "kinesis": KinesisPlace,
    "mqtt": MqttPlace,
    "s3": S3Place,
    "sns": SnsPlace,
    "stdout": StdoutPlace,
    "webhook": WebhookPlace,
}


def test_every_sink_is_held_to_the_contract() -> None:
    assert sorted(PLACES) == SINKS, "a new sink needs a place here"


@pytest.fixture(params=sorted(PLACES))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    made = PLACES[request.param](tmp_path, request)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def connect(place: Place) -> AsyncIterator[Callable[[dict[str, Any]], Sink]]:
    sinks: list[Sink] = []

    def make(ref: dict[str, Any]) -> Sink:
        context = ConnectorContext(processor="door", base_dir=place.folder)
        sinks.append(make_sink(ConnectorRef.model_validate(ref), context))
        return sinks[-1]

    yield make
    for sink in sinks:
        await sink.aclose()


def delivery(sequence: int, size: int = 0) -> Delivery:
    event = label_event(sequence, data={"note": "x" * size} if size else {})
    pictures = Pictures(b"\xff\xd8 frame", b"\xff\xd8 crop")
    return Delivery(event, pictures, {"tags": {}}, renderers={"plain": render_plain})


async def test_what_is_delivered_arrives_in_order(place: Place, connect: Callable[[dict[str, Any]], Sink]) -> None:
    sink = connect(place.ref())
    assert sink.guarantee
    for number in range(3):
        await sink.deliver(delivery(number))
    arrived = await place.ids()
    assert (sorted(arrived) if isinstance(place, SnsPlace) else arrived) == [f"s1-{n:06d}" for n in range(3)]


async def test_the_same_event_twice_is_harmless(place: Place, connect: Callable[[dict[str, Any]], Sink]) -> None:
    sink = connect(place.ref())
    for _ in range(2):
        await sink.deliver(delivery(7))
    await connect(place.ref()).deliver(delivery(7))  # as after a crash
    arrived = await place.ids()
    assert set(arrived) == {"s1-000007"}
    if ConnectorRef.model_validate(place.ref()).type in ONLY_ONCE:
        assert len(arrived) == 1


async def test_it_is_busy_while_nobody_answers(place: Place, connect: Callable[[dict[str, Any]], Sink]) -> None:
    away = place.away()
    if away is None:
        pytest.skip("it is always there")
    with pytest.raises(SinkBusy) as error:
        await connect(away).deliver(delivery(0))
    assert not isinstance(error.value, SinkDenied) and str(error.value)


async def test_it_is_denied_where_somebody_has_to_act(place: Place, connect: Callable[[dict[str, Any]], Sink]) -> None:
    missing = place.missing()
    if missing is None:
        pytest.skip("it makes what it needs")
    with pytest.raises(SinkDenied) as error:
        await connect(missing).deliver(delivery(0))
    assert error.value.missing and error.value.service == missing["type"]


async def test_what_it_will_never_take_is_rejected(place: Place, connect: Callable[[dict[str, Any]], Sink]) -> None:
    if place.too_large is None:
        pytest.skip("it takes events of any size")
    sink = connect(place.ref())
    with pytest.raises(SinkRejected):
        await sink.deliver(delivery(0, place.too_large))
    await sink.deliver(delivery(1))
    assert await place.ids() == ["s1-000001"]

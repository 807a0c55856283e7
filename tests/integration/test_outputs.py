"""Outputs against the real thing: Kafka, an S3 gateway, SNS to SQS, HTTP. Each through the outbox, as in the daemon."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from connectors.kafka import sink as kafka_sink
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Delivery
from streamproc.core.event import Event, EventType
from streamproc.core.media import Moment
from streamproc.outbox import output as output_module
from streamproc.plain import render_plain
from streamproc.store.deliveries import Selection
from tests.builders.events import START, label_event
from tests.builders.outboxes import PICTURES, Box


@pytest.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    monkeypatch.setattr(output_module, "RETRY", replace(output_module.RETRY, first_s=0.05, cap_s=0.5))
    made = Box(tmp_path)
    await made.outbox.start()
    yield made
    await made.outbox.aclose()
    made.journal.database.close()


def complete(sequence: int, session: str = "s1") -> Event:
    data = {"counts": {"PERSON": 1}, "message": "1 notification", "processed_s": 4.5}
    return label_event(
        sequence, session, type=EventType.SESSION_COMPLETE, label=None, confidence=None, has_pictures=False, data=data
    )


# -- Kafka


async def read_topic(bootstrap: str, topic: str, count: int) -> list[Any]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_kafka_gets_every_event_in_order_with_its_id(box: Box, kafka: Any) -> None:
    topic = "outputs-order"
    await box.connect({"type": "kafka", "bootstrap_servers": kafka.bootstrap, "topic": topic, "format": "aws"})
    await box.tell(*(label_event(number) for number in range(5)), complete(5))
    await box.settled()
    messages = await read_topic(kafka.bootstrap, topic, 6)
    assert [dict(message.headers)["id"].decode() for message in messages] == [f"s1-{n:06d}" for n in range(6)]
    assert {message.key for message in messages} == {b"s1"}
    assert messages[0].timestamp == int(START.timestamp() * 1000)
    first, last = json.loads(messages[0].value), json.loads(messages[5].value)
    assert first["labels"][0]["name"] == "PERSON"
    assert last["inputInformation"]["kinesisVideo"]["processedVideoDurationMillis"] == 4500


@pytest.mark.kafka
async def test_kafka_takes_what_was_seen_while_this_node_s_clock_was_ahead(box: Box, kafka: Any) -> None:
    topic = "outputs-clock"
    await box.connect({"type": "kafka", "bootstrap_servers": kafka.bootstrap, "topic": topic})
    ahead = datetime.now(UTC) + timedelta(hours=2)
    await box.tell(replace(label_event(0), at=Moment(Fraction(0), ahead)), label_event(1))
    await box.settled()
    first, _ = await read_topic(kafka.bootstrap, topic, 2)
    assert first.timestamp / 1000 < ahead.timestamp() - 3600
    assert json.loads(first.value)["time"] == ahead.isoformat().replace("+00:00", "Z")


@pytest.mark.kafka
async def test_kafka_carries_nothing_but_records_of_a_face_search(box: Box, kafka: Any) -> None:
    topic = "outputs-faces"
    ref = {"type": "kafka", "bootstrap_servers": kafka.bootstrap, "topic": topic, "format": "aws"}
    await box.connect(ref, faces=True)
    record = label_event(1, type=EventType.FACE_RECORD, label=None, has_pictures=False, data={"faces": []})
    await box.tell(label_event(0, type=EventType.FACE_MATCHED, label=None, person="alice"), record, complete(2))
    await box.settled()
    (message,) = await read_topic(kafka.bootstrap, topic, 1)
    assert json.loads(message.value)["FaceSearchResponse"] == []


@pytest.mark.kafka
@pytest.mark.logs_errors("output_refused")
async def test_kafka_too_large_a_message_is_put_aside(box: Box, kafka: Any) -> None:
    topic = "outputs-large"
    ref = {"type": "kafka", "bootstrap_servers": kafka.bootstrap, "topic": topic, "max_bytes": 3000}
    await box.connect(ref)
    await box.tell(label_event(0, data={"note": "x" * 4000}), label_event(1))
    await box.settled()
    assert [event for event, _ in box.dead()] == ["s1-000000"]
    (message,) = await read_topic(kafka.bootstrap, topic, 1)
    assert json.loads(message.value)["id"] == "s1-000001"


@pytest.mark.kafka
async def test_kafka_away_delays_and_loses_nothing(box: Box, own_kafka: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_sink, "_PATIENCE_S", 1.0)
    topic = "outputs-away"
    await box.connect({"type": "kafka", "bootstrap_servers": own_kafka.bootstrap, "topic": topic})
    await box.tell(label_event(0))
    await box.settled()
    await asyncio.to_thread(own_kafka.stop, kill=True)
    await box.tell(*(label_event(number) for number in range(1, 4)), label_event(0, "s2"))
    async with asyncio.timeout(30):
        while not any(item.attempts for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.05)
    await asyncio.to_thread(own_kafka.start)
    await box.settled(60)
    assert box.dead() == []
    ids = [dict(message.headers)["id"].decode() for message in await read_topic(own_kafka.bootstrap, topic, 5)]
    assert sorted(ids) == ["s1-000000", "s1-000001", "s1-000002", "s1-000003", "s2-000000"]
    in_session = [event for event in ids if event.startswith("s1")]
    assert in_session == sorted(in_session)


# -- S3


def s3_ref(server: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    monkeypatch.setenv("EDGE_KEY", server.access_key)
    monkeypatch.setenv("EDGE_SECRET", server.secret_key)
    keys = {"access_key_id_env": "EDGE_KEY", "secret_access_key_env": "EDGE_SECRET"}
    return {"type": "s3", "endpoint_url": server.endpoint, **keys, **options}


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.s3
async def test_s3_has_the_service_layout(box: Box, s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = s3_server.make_bucket("layout")
    ref = s3_ref(
        s3_server, monkeypatch, bucket="layout", prefix="/cams/front door/", format="aws", kms_key_id="alias/k"
    )
    await box.connect(ref)
    await box.tell(label_event(0), complete(1))
    await box.settled()
    home = "cams/front door/door/s1"
    assert files(folder) == [
        f"{home}/000000-PERSON-crop.jpg",
        f"{home}/000000-PERSON-frame.jpg",
        f"{home}/000000-PERSON.json",
        f"{home}/session-summary.json",
    ]
    assert (folder / home / "000000-PERSON-frame.jpg").read_bytes() == PICTURES.frame
    summary = json.loads((folder / home / "session-summary.json").read_text())
    assert summary["eventNamespace"] == {"type": "STREAM_PROCESSING_COMPLETE"}


@pytest.mark.s3
async def test_s3_plain_documents_name_their_pictures(
    box: Box, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = s3_server.make_bucket("plain-form")
    await box.connect(s3_ref(s3_server, monkeypatch, bucket="plain-form"))
    await box.tell(label_event(0))
    await box.settled()
    document = json.loads((folder / "door/s1/000000-PERSON.json").read_text())
    assert document["frame"] == "s3://plain-form/door/s1/000000-PERSON-frame.jpg"
    assert (folder / document["crop"].removeprefix("s3://plain-form/")).read_bytes() == PICTURES.crop


@pytest.mark.s3
async def test_s3_waits_for_a_bucket_that_is_missing(box: Box, s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.connect(s3_ref(s3_server, monkeypatch, bucket="comes-later"))
    await box.tell(label_event(0))
    async with asyncio.timeout(20):
        while not any(item.reason for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.02)
    (item,) = box.store.select(Selection(state="waiting"))
    assert "NoSuchBucket" in (item.reason or "")
    folder = s3_server.make_bucket("comes-later")
    await box.settled()
    assert len(files(folder)) == 3


@pytest.mark.s3
async def test_s3_away_delays_and_loses_nothing(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.servers.common import Unavailable
    from tests.servers.s3 import S3Server

    try:
        server = await asyncio.to_thread(S3Server(tmp_path / "s3").start)
    except Unavailable as error:
        pytest.skip(str(error))
    folder = server.make_bucket("away")
    await box.connect(s3_ref(server, monkeypatch, bucket="away"))
    await asyncio.to_thread(server.stop, kill=True)
    await box.tell(label_event(0), label_event(1))
    async with asyncio.timeout(20):
        while not any(item.attempts for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.02)
    await asyncio.to_thread(server.start)
    await box.settled()
    assert len(files(folder)) == 6
    await asyncio.to_thread(server.stop, kill=True)


# -- SNS


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def subscribe(url: str, name: str) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
    """A topic with a queue behind it; the topic's ARN, and a way to take what came. FIFO where the name says so."""
    fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
    queued = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    options = {"endpoint_url": url, "region_name": "eu-west-1"}
    sns, sqs = boto3.client("sns", **options), boto3.client("sqs", **options)
    topic = sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
    queue = sqs.create_queue(QueueName=name, Attributes=queued)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def take() -> list[dict[str, Any]]:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    return topic, take


@pytest.mark.s3
async def test_sns_messages_are_the_service_s_and_name_the_bucket(
    box: Box, moto_server: str, s3_server: Any, aws_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, take = await asyncio.to_thread(subscribe, moto_server, "alerts")
    s3_server.make_bucket("pictures")
    bucket = s3_ref(s3_server, monkeypatch, bucket="pictures", prefix="cams", format="aws")
    await box.connect({"type": "sns", "topic_arn": topic, "endpoint_url": moto_server, "format": "aws"}, bucket)
    await box.tell(label_event(0), complete(1))
    await box.settled()
    notes = await asyncio.to_thread(take)
    assert {note["Subject"] for note in notes} == {"Rekognition Stream Processing Event"}
    messages = sorted((json.loads(note["Message"]) for note in notes), key=lambda message: message["eventId"])
    assert [message["eventNamespace"]["type"] for message in messages] == [
        "LABEL_DETECTED",
        "STREAM_PROCESSING_COMPLETE",
    ]
    label = messages[0]["labels"][0]
    assert label["frameImageUri"] == "s3://pictures/cams/door/s1/000000-PERSON-frame.jpg"
    assert messages[0]["tags"] == {"site": "home"}


async def test_sns_fifo_topics_group_by_session_and_take_each_event_once(
    box: Box, moto_server: str, aws_keys: None
) -> None:
    topic, _ = await asyncio.to_thread(subscribe, moto_server, "doors.fifo")
    queue = boto3.client("sqs", endpoint_url=moto_server, region_name="eu-west-1")
    url = queue.get_queue_url(QueueName="doors.fifo")["QueueUrl"]
    ref = {"type": "sns", "topic_arn": topic, "endpoint_url": moto_server}
    await box.connect(ref)
    await box.tell(label_event(0), label_event(0, "s2"), label_event(1), complete(2))
    await box.settled()
    assert box.dead() == []
    twice = make_sink(ConnectorRef.model_validate(ref), ConnectorContext("door"))
    await twice.deliver(Delivery(label_event(1), None, {}, renderers={"plain": render_plain}))
    await twice.aclose()

    def received() -> list[Any]:
        answer = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
        return list(answer.get("Messages", []))

    messages = await asyncio.to_thread(received)
    told = [(m["Attributes"]["MessageGroupId"], m["Attributes"]["MessageDeduplicationId"]) for m in messages]
    assert [each for each in told if each[0] == "s1"] == [("s1", f"s1-{n:06d}") for n in range(3)]
    assert [each for each in told if each[0] == "s2"] == [("s2", "s2-000000")]


async def test_sns_plain_form_and_a_topic_that_comes_later(box: Box, moto_server: str, aws_keys: None) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:later"
    await box.connect({"type": "sns", "topic_arn": topic, "endpoint_url": moto_server})
    await box.tell(label_event(0))
    async with asyncio.timeout(20):
        while not any(item.reason for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.02)
    _, take = await asyncio.to_thread(subscribe, moto_server, "later")
    await box.settled()
    assert box.dead() == []
    await box.tell(label_event(1))
    await box.settled()
    note = (await asyncio.to_thread(take))[-1]  # The first may have come before the queue was subscribed.
    assert json.loads(note["Message"])["class"] == "PERSON"


# -- webhooks


class Receiver:
    """An HTTP server that answers as told and keeps what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[web.Response] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        return self.answers.pop(0) if self.answers else web.Response()

    def ids(self) -> list[str]:
        return [headers["X-Streamproc-Event"] for headers, _ in self.requests]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/hook", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}/hook"
    yield made
    await runner.cleanup()


async def test_webhook_requests_are_signed_documents(
    box: Box, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "hush")
    monkeypatch.setenv("HOOK_TOKEN", "Bearer abc")
    await box.connect(
        {
            "type": "webhook",
            "url": receiver.url,
            "secret_env": "HOOK_SECRET",
            "headers": {"X-Site": "home"},
            "headers_env": {"Authorization": "HOOK_TOKEN"},
        }
    )
    await box.tell(label_event(0))
    await box.settled()
    headers, body = receiver.requests[0]
    assert json.loads(body)["id"] == headers["X-Streamproc-Event"] == "s1-000000"
    assert headers["Content-Type"] == "application/json"
    assert (headers["X-Site"], headers["Authorization"]) == ("home", "Bearer abc")
    expected = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    assert headers["X-Streamproc-Signature"] == f"sha256={expected}"
    stamped = headers["X-Streamproc-Timestamp"].encode() + b"." + body
    assert headers["X-Streamproc-Signature-Timestamped"] == (
        "sha256=" + hmac.new(b"hush", stamped, hashlib.sha256).hexdigest()
    )


@pytest.mark.logs_errors("output_refused")
async def test_webhook_answers_decide(box: Box, receiver: Receiver) -> None:
    receiver.answers = [
        web.Response(status=503, headers={"Retry-After": "0.1"}),
        web.Response(status=429),
        web.Response(status=204),
        web.Response(status=422, text="no such chat"),
        web.Response(status=302, headers={"Location": "/elsewhere"}),
    ]
    await box.connect({"type": "webhook", "url": receiver.url})
    await box.tell(*(label_event(number) for number in range(4)))
    await box.settled()
    assert receiver.ids() == ["s1-000000"] * 3 + ["s1-000001", "s1-000002", "s1-000003"]
    assert [event for event, _ in box.dead()] == ["s1-000001", "s1-000002"]
    assert box.dead()[0][1] == "HTTP 422: no such chat"


async def test_webhook_templates(box: Box, receiver: Receiver) -> None:
    structure = {
        "text": "{class} at {region}!",
        "score": "{confidence}",
        "where": {"place": "{region}", "raw": ["{box}"]},
    }
    await box.connect(
        {"type": "webhook", "name": "chat", "url": receiver.url, "template": structure},
        {
            "type": "webhook",
            "name": "line",
            "url": receiver.url,
            "template": "{processor}: {class} {confidence}% {person}",
        },
        {
            "type": "webhook",
            "name": "json",
            "url": receiver.url,
            "template": '{"tags": {tags}, "say": "{class}"}',
            "content_type": "application/json",
        },
    )
    await box.tell(label_event(0))
    await box.settled()
    bodies = {headers["Content-Type"]: [] for headers, _ in receiver.requests}
    for headers, body in receiver.requests:
        bodies[headers["Content-Type"]].append(body.decode())
    assert bodies["text/plain; charset=utf-8"] == ["door: PERSON 91.5% "]
    documents = sorted((json.loads(body) for body in bodies["application/json"]), key=len)
    assert documents == [
        {"tags": {"site": "home"}, "say": "PERSON"},
        {"text": "PERSON at !", "score": 91.5, "where": {"place": None, "raw": [None]}},
    ]


async def test_webhook_nobody_listens_then_somebody_does(box: Box, unused_tcp_port: int) -> None:
    await box.connect({"type": "webhook", "url": f"http://127.0.0.1:{unused_tcp_port}/hook"})
    await box.tell(label_event(0))
    async with asyncio.timeout(20):
        while not any(item.attempts for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.02)
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    await box.settled()
    await runner.cleanup()
    assert made.ids() == ["s1-000000"]

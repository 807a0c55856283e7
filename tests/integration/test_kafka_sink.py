"""The Kafka output against the real thing, through the outbox, as in the daemon."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from connectors.kafka import sink as kafka_sink
from streamproc.core.event import EventType
from streamproc.core.media import Moment
from streamproc.store.deliveries import Selection
from tests.builders.events import START, complete, label_event
from tests.builders.outboxes import Box


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

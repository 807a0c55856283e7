"""Kafka behind TLS and SASL: the broker itself asks who is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.catalog import make_sink, make_source
from connectors.context import ConnectorContext
from connectors.kafka.publisher import FragmentPublisher
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.source import group_name
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Delivery
from streamproc.core.errors import InputError, SinkBusy, SourceRefused
from streamproc.core.event import Event
from streamproc.core.media import Packet
from streamproc.plain import render_plain
from tests.builders.clips import bar_clip
from tests.builders.events import label_event
from tests.conftest import skip
from tests.servers.certificates import Authority
from tests.servers.common import Unavailable

pytestmark = pytest.mark.kafka
USER, PASSWORD = "edge", "Tr0ub4dor&3"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.servers.kafka import KafkaServer, Secured

    folder = tmp_path_factory.mktemp("secured-kafka")
    try:
        secured = Secured(Authority(folder / "tls"), USER, PASSWORD)
        server = KafkaServer(folder / "kafka", secured).start()
    except Unavailable as error:
        skip(str(error))
        return
    server.secured = secured
    server.folder = folder
    # The first question for an offset makes the broker's own topic of offsets, which takes longer than a source's farewell.
    asyncio.run(committed(server, "none"))
    yield server
    server.stop(kill=True)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_USER", USER)
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    monkeypatch.setenv("WRONG_PASSWORD", "letmein")


def settings(broker: Any, protocol: str, topic: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "bootstrap_servers": f"127.0.0.1:{broker.secured.ports[protocol]}",
        "topic": topic,
        "security_protocol": protocol,
    }
    if protocol.startswith("SASL"):
        made |= {"username_env": "KAFKA_USER", "password_env": "KAFKA_PASSWORD"}
    if protocol.endswith("SSL"):
        made["ca_file"] = "tls/ca.pem"
    if protocol == "SSL":
        broker.secured.authority.sign("client")
        made |= {"cert_file": "tls/client.pem", "key_file": "tls/client.key"}
    return made | more


def context(broker: Any) -> ConnectorContext:
    """Relative paths of the settings start at the config's folder."""
    return ConnectorContext("door", base_dir=broker.folder, node_id="box-1")


WAYS = [
    ("SASL_PLAINTEXT", "PLAIN"),
    ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
    ("SASL_SSL", "SCRAM-SHA-256"),
    ("SSL", "PLAIN"),
]


@pytest.mark.parametrize(("protocol", "mechanism"), WAYS)
async def test_events_go_out(broker: Any, protocol: str, mechanism: str) -> None:
    topic = f"events-{protocol}-{mechanism}".lower()
    ref = {"type": "kafka", **settings(broker, protocol, topic, sasl_mechanism=mechanism)}
    sink = make_sink(ConnectorRef.model_validate(ref), context(broker))
    event = label_event(0)
    try:
        await sink.deliver(delivery(event))
    finally:
        await sink.aclose()
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    async with asyncio.timeout(20):
        message = await consumer.getone()
    await consumer.stop()
    assert dict(message.headers)["id"] == event.id.encode()


@pytest.mark.parametrize(("protocol", "mechanism"), [WAYS[0], WAYS[2], WAYS[3]])
def test_a_feed_comes_in_and_its_offset_is_committed(
    broker: Any, protocol: str, mechanism: str, tmp_path: Path
) -> None:
    topic = f"video-{protocol}".lower()
    asked = settings(broker, protocol, topic, sasl_mechanism=mechanism)
    asyncio.run(publish(asked, context(broker), bar_clip(tmp_path / "clip.mkv", frames=20).read_bytes()))
    source = make_source(ConnectorRef.model_validate({"type": "kafka", **asked, "start": "earliest"}), context(broker))
    stop = threading.Event()
    watchdog = threading.Timer(30, stop.set)
    watchdog.start()
    packets = 0
    for item in source.items(stop):
        assert isinstance(item, Packet), item
        packets += 1
        if (position := source.position()) is not None:
            source.durable(position)
        if packets == 40:
            stop.set()
    watchdog.cancel()
    assert packets == 40
    assert asyncio.run(committed(broker, topic)) == 2


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_wrong_password_is_said_and_not_shown(broker: Any, protocol: str) -> None:
    asked = settings(broker, protocol, "secret", password_env="WRONG_PASSWORD")
    source = make_source(ConnectorRef.model_validate({"type": "kafka", **asked}), context(broker))
    with pytest.raises(SourceRefused, match=r"(?i)authentication") as refused:
        next(iter(source.items(threading.Event())))
    sink = make_sink(ConnectorRef.model_validate({"type": "kafka", **asked}), context(broker))
    with pytest.raises(SinkBusy, match=r"(?i)authentication") as busy:
        asyncio.run(sink.deliver(delivery(label_event(0))))
    assert "letmein" not in str(refused.value) + str(busy.value)


def test_a_broker_of_another_authority_is_not_trusted(broker: Any) -> None:
    Authority(broker.folder / "tls", "other")
    asked = settings(broker, "SASL_SSL", "secret", ca_file="tls/other.pem")
    sink = make_sink(ConnectorRef.model_validate({"type": "kafka", **asked}), context(broker))
    with pytest.raises(SinkBusy, match=str(broker.secured.ports["SASL_SSL"])):
        asyncio.run(sink.deliver(delivery(label_event(0))))


def test_a_certificate_that_is_not_there_is_said(broker: Any) -> None:
    asked = settings(broker, "SSL", "secret", ca_file="tls/none.pem")
    source = make_source(ConnectorRef.model_validate({"type": "kafka", **asked}), context(broker))
    with pytest.raises(InputError, match="ca_file"):
        next(iter(source.items(threading.Event())))


def delivery(event: Event) -> Delivery:
    return Delivery(event, None, {}, renderers={"plain": render_plain})


async def publish(asked: dict[str, Any], where: ConnectorContext, fragment: bytes) -> None:
    publisher = FragmentPublisher(KafkaConnection.model_validate(asked), where, "cam")
    await publisher.start()
    for second in (0, 2):
        await publisher.send(fragment, datetime(2026, 11, 21, second=second, tzinfo=UTC))
    await publisher.stop()


async def committed(broker: Any, topic: str) -> int | None:
    group = group_name(context(broker))
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        return await consumer.committed(TopicPartition(topic, 0))
    finally:
        await consumer.stop()

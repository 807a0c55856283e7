"""Records in a Kinesis data stream of moto's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import boto3
import pytest

from connectors.context import ConnectorContext
from connectors.kinesis.settings import KinesisSinkSettings
from connectors.kinesis.sink import KinesisSink
from streamproc.contracts import Delivery
from streamproc.core.errors import SinkBusy
from streamproc.core.event import Event, EventType
from streamproc.core.media import Moment

ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/faces"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def delivery(number: int) -> Delivery:
    at = Moment(Fraction(number), datetime(2026, 1, 1, tzinfo=UTC))
    event = Event(EventType.FACE_RECORD, "door", "session-1", number, at)
    return Delivery(event, None, {}, renderers={"aws": lambda made, images: {"Number": made.event.sequence}})


def sink(url: str, arn: str = ARN) -> KinesisSink:
    return KinesisSink(KinesisSinkSettings(stream_arn=arn), ConnectorContext(endpoint_url=url))


async def test_records_arrive_in_order(moto_server: str) -> None:
    kinesis: Any = boto3.client("kinesis", endpoint_url=moto_server, region_name="us-east-1")
    kinesis.create_stream(StreamName="faces", ShardCount=2)
    made = sink(moto_server)
    for number in range(3):
        await made.deliver(delivery(number))
    await made.aclose()
    found: list[int] = []
    for shard in kinesis.list_shards(StreamName="faces")["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName="faces", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += [json.loads(r["Data"])["Number"] for r in kinesis.get_records(ShardIterator=iterator)["Records"]]
    assert found == [0, 1, 2]


async def test_an_unknown_stream_may_be_made_yet(moto_server: str) -> None:
    made = sink(moto_server, ARN.replace("faces", "nobody"))
    with pytest.raises(SinkBusy, match="ResourceNotFound"):
        await made.deliver(delivery(0))
    await made.aclose()


async def test_nobody_there_is_for_now() -> None:
    made = sink("http://127.0.0.1:9")
    with pytest.raises(SinkBusy):
        await made.deliver(delivery(0))
    await made.aclose()

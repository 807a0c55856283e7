"""The SNS output, read by SQS, through the outbox, as in the daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Delivery
from streamproc.plain import render_plain
from streamproc.store.deliveries import Selection
from tests.builders.events import complete, label_event
from tests.builders.outboxes import Box, s3_ref


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

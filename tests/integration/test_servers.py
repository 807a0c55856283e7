"""The test servers themselves: each starts, serves and stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import boto3
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.builders.clips import grey_clip
from tests.servers.rtsp import lengthen


@pytest.mark.kafka
async def test_kafka_keeps_a_message(kafka: Any) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("servers-test", b"value", key=b"key")
    await producer.stop()
    consumer = AIOKafkaConsumer("servers-test", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    assert (await consumer.getone()).value == b"value"
    await consumer.stop()


@pytest.mark.rtsp
@pytest.mark.parametrize(("name", "codec"), [("cam.mp4", "libx264"), ("cam.h265.mp4", "libx265")])
def test_rtsp_gives_frames(rtsp: Any, tmp_path: Path, name: str, codec: str) -> None:
    clip = lengthen(grey_clip(tmp_path / f"one-{name}", codec, frames=15), tmp_path / name, 10)
    server = rtsp({"/cam": clip})
    with av.open(server.url("/cam"), options={"rtsp_transport": "tcp"}, timeout=10) as feed:
        frames = [frame for frame, _ in zip(feed.decode(video=0), range(20), strict=False)]
    assert len(frames) == 20


@pytest.mark.s3
def test_s3_keeps_an_object(s3_server: Any) -> None:
    folder = s3_server.make_bucket("servers")
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
    )
    client.put_object(Bucket="servers", Key="a/b.txt", Body=b"hello")
    assert (folder / "a" / "b.txt").read_bytes() == b"hello"


def test_moto_delivers_sns_to_sqs(moto_server: str) -> None:
    options = {
        "endpoint_url": moto_server,
        "region_name": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    sns, sqs = boto3.client("sns", **options), boto3.client("sqs", **options)
    topic = sns.create_topic(Name="servers-test")["TopicArn"]
    queue = sqs.create_queue(QueueName="servers-test")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="hello")
    assert "hello" in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2)["Messages"][0]["Body"]

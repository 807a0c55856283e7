"""The end of a job is told once, also where the topic was away and the process was another."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from connectors.context import ConnectorContext
from streamproc.aws.bindings import Resolver
from streamproc.aws.completions import Completions, Mailroom
from streamproc.aws.topics import check_topic
from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.node import AwsSettings, Bindings
from streamproc.jobs.model import Channel, Job, JobKind, JobRequest, JobState, VideoRef
from streamproc.outbox.outbox import Outbox
from streamproc.server.renderers import RENDERERS
from streamproc.store.database import Database
from streamproc.store.journal import Journal

TOPIC = "arn:aws:sns:us-east-1:123456789012:completions"
KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}


def job(topic: str, number: int = 1) -> Job:
    video = VideoRef("s3://videos/a.mp4", {}, "videos", "a.mp4")
    request = JobRequest(JobKind.LABELS, video, tag="day", channel=Channel(topic))
    return Job(f"{number:064x}", request, JobState.SUCCEEDED, 1.0, 1510865364.756)


class Process:
    """What of a daemon tells completions."""

    def __init__(self, folder: Path, endpoint_url: str) -> None:
        self.database = Database(folder)
        journal = Journal(self.database)
        self.outbox = Outbox(journal, RENDERERS)
        resolver = Resolver(Bindings(), AwsSettings(endpoint_url=endpoint_url), lambda: True)
        context = ConnectorContext(endpoint_url=endpoint_url)
        self.completions = Completions(Mailroom(journal, self.outbox, resolver, lambda owner: context))

    async def __aenter__(self) -> Process:
        await self.outbox.start()
        await self.completions.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.outbox.aclose()
        self.database.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


async def test_told_after_an_outage_by_the_next_process_and_once(moto_server: str, tmp_path: Path) -> None:
    sns: Any = boto3.client("sns", endpoint_url=moto_server, **KEYS)
    sqs: Any = boto3.client("sqs", endpoint_url=moto_server, **KEYS)
    topic = sns.create_topic(Name="completions")["TopicArn"]
    queue = sqs.create_queue(QueueName="completions")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    async with Process(tmp_path, "http://127.0.0.1:9") as process:
        await asyncio.to_thread(process.completions.tell, job(topic))
        await asyncio.sleep(0.5)
    async with Process(tmp_path, moto_server) as process:
        await asyncio.to_thread(process.completions.tell, job(topic))  # the same job again, as after a crash
        await asyncio.to_thread(process.completions.tell, job(topic, 2))
        bodies = []
        for _ in range(20):
            asked = await asyncio.to_thread(sqs.receive_message, QueueUrl=queue, MaxNumberOfMessages=10)
            bodies += [json.loads(message["Body"]) for message in asked.get("Messages", [])]
            if len(bodies) >= 2:
                break
            await asyncio.sleep(0.2)
        await process.outbox.drain(5)
        assert sqs.receive_message(QueueUrl=queue).get("Messages", []) == []
    messages = [json.loads(body["Message"]) for body in bodies]
    assert {message["JobId"] for message in messages} == {f"{1:064x}", f"{2:064x}"}
    assert messages[0] == {
        "JobId": messages[0]["JobId"],
        "Status": "SUCCEEDED",
        "API": "StartLabelDetection",
        "JobTag": "day",
        "Timestamp": 1510865364756,
        "Video": {"S3ObjectName": "a.mp4", "S3Bucket": "videos"},
    }
    assert all("Subject" not in body for body in bodies)


async def test_a_topic_that_is_not_there_is_told_when_it_is_named(moto_server: str) -> None:
    sns: Any = boto3.client("sns", endpoint_url=moto_server, **KEYS)
    topic = sns.create_topic(Name="there")["TopicArn"]
    known = Resolver(Bindings(), AwsSettings(endpoint_url=moto_server), lambda: True)
    await check_topic(known, topic)
    with pytest.raises(AwsFault, match="not-there doesn't exist") as fault:
        await check_topic(known, topic.replace(":there", ":not-there"))
    assert fault.value.code == "InvalidParameterException"
    away = Resolver(Bindings(), AwsSettings(endpoint_url="http://127.0.0.1:9"), lambda: True)
    await check_topic(away, topic.replace(":there", ":not-there"))  # nobody can say: what is owed waits

"""The whole box behind the endpoint: ``streamproc serve`` driven by boto3, with real feeds, models, brokers and topics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
import yaml
from aiokafka import AIOKafkaConsumer

from tests.servers.common import free_port
from tests.servers.rtsp import lengthen

T = TypeVar("T")
pytestmark = pytest.mark.slow
KEYS = {"aws_access_key_id": "AKIDEDGE", "aws_secret_access_key": "edge-secret", "region_name": "us-east-1"}
ROLE = "arn:aws:iam::123456789012:role/edge"
STREAM = "arn:aws:kinesisvideo:us-east-1:123456789012:stream/{}/1510552593"


class Box:
    """A daemon of the test's own."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        listen = self.url.removeprefix("http://")
        key = {"access_key_id": KEYS["aws_access_key_id"], "secret_access_key_env": "EDGE_SECRET"}
        document |= {"server": {"listen": listen, "credentials": [key]}, "stores": {"data_dir": str(folder / "data")}}
        (folder / "streamproc.yaml").write_text(yaml.safe_dump(document))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = os.environ | {"EDGE_SECRET": KEYS["aws_secret_access_key"]}
        environ |= {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto"}
        command = [sys.executable, "-m", "streamproc", "serve", "--config-dir", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        until(lambda: self._ready(), 60)

    def _ready(self) -> bool:
        from urllib.error import URLError
        from urllib.request import urlopen

        assert self._process is not None and self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return bool(urlopen(f"{self.url}/readyz", timeout=2).status == 200)
        except (URLError, OSError):
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(40)

    def client(self) -> Any:
        return boto3.client("rekognition", endpoint_url=self.url, **KEYS)


def until(look: Callable[[], T], seconds: float = 30) -> T:
    """What ``look`` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.2)
    return found


class Queue:
    """An SNS topic with an SQS queue behind it, read the way the service's guide shows."""

    def __init__(self, url: str, name: str) -> None:
        options = KEYS | {"endpoint_url": url}
        sns, self._sqs = boto3.client("sns", **options), boto3.client("sqs", **options)
        self.topic = sns.create_topic(Name=name)["TopicArn"]
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=asked["Attributes"]["QueueArn"])

    def take(self) -> list[dict[str, Any]]:
        """Envelopes with ``Message`` parsed."""
        found = []
        for message in self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", []):
            envelope = json.loads(message["Body"])
            found.append(envelope | {"Message": json.loads(envelope["Message"])})
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def wait(self, count: int, seconds: float = 40) -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []

        def enough() -> bool:
            got.extend(self.take())
            return len(got) >= count

        until(enough, seconds)
        return got


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Box]]:
    made: list[Box] = []

    def make(document: dict[str, Any]) -> Box:
        made.append(Box(tmp_path, document))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.mark.corpus
@pytest.mark.models
def test_a_stored_video_in_a_bucket_told_over_sns_and_sqs(
    box: Callable[[dict[str, Any]], Box], moto_server: str, corpus: Path
) -> None:
    """What AWS's own guide shows: start, poll the queue, get page by page. The daemon is killed in between."""
    s3 = boto3.client("s3", endpoint_url=moto_server, **KEYS)
    s3.create_bucket(Bucket="stored-videos")
    s3.upload_file(str(corpus / "video" / "intel_worker_zone.mp4"), "stored-videos", "day/door.mp4")
    queue = Queue(moto_server, "AmazonRekognitionDone")
    edge = box({"aws": {"endpoint_url": moto_server}})
    rekognition = edge.client()
    common: dict[str, Any] = {
        "Video": {"S3Object": {"Bucket": "stored-videos", "Name": "day/door.mp4"}},
        "NotificationChannel": {"SNSTopicArn": queue.topic, "RoleArn": ROLE},
        "ClientRequestToken": "once",
    }
    labels = rekognition.start_label_detection(**common, JobTag="day")["JobId"]
    shots = rekognition.start_segment_detection(**common, SegmentTypes=["SHOT", "TECHNICAL_CUE"])["JobId"]
    edge.stop(signal.SIGKILL)
    edge.start()
    assert rekognition.start_label_detection(**common, JobTag="day")["JobId"] == labels
    told = {envelope["Message"]["JobId"]: envelope for envelope in queue.wait(2, 90)}
    assert set(told) == {labels, shots}
    message = told[labels]["Message"]
    assert (message["Status"], message["API"], message["JobTag"]) == ("SUCCEEDED", "StartLabelDetection", "day")
    assert message["Video"] == {"S3ObjectName": "day/door.mp4", "S3Bucket": "stored-videos"}
    assert isinstance(message["Timestamp"], int) and "Subject" not in told[labels]
    pages, token = [], ""
    while True:
        page = rekognition.get_label_detection(JobId=labels, MaxResults=50, NextToken=token)
        pages.append(page)
        if not (token := page.get("NextToken", "")):
            break
    found = [label["Label"]["Name"] for page in pages for label in page["Labels"]]
    assert "Person" in found and all(page["VideoMetadata"]["Codec"] == "h264" for page in pages)
    segments = rekognition.get_segment_detection(JobId=shots)
    assert segments["JobStatus"] == "SUCCEEDED" and segments["Segments"]
    assert rekognition.start_label_detection(**common, JobTag="day")["JobId"] == labels
    time.sleep(1)
    assert queue.take() == []


@pytest.mark.corpus
@pytest.mark.models
@pytest.mark.rtsp
def test_a_camera_is_watched_and_a_person_is_told_over_sns(
    box: Callable[[dict[str, Any]], Box], moto_server: str, rtsp: Any, corpus: Path, tmp_path: Path
) -> None:
    clip = lengthen(corpus / "video" / "xr_doorbell_delivery.mp4", tmp_path / "long.mp4", 60)
    camera = rtsp({"/cam": clip})
    boto3.client("s3", endpoint_url=moto_server, **KEYS).create_bucket(Bucket="door-pictures")
    queue = Queue(moto_server, "door")
    streams = {"front-door": {"type": "rtsp", "url": camera.url("/cam")}}
    edge = box({"aws": {"endpoint_url": moto_server}, "bindings": {"streams": streams}})
    rekognition = edge.client()
    rekognition.create_stream_processor(
        Name="porch",
        Input={"KinesisVideoStream": {"Arn": STREAM.format("front-door")}},
        Output={"S3Destination": {"Bucket": "door-pictures", "KeyPrefix": "porch"}},
        Settings={"ConnectedHome": {"Labels": ["PERSON"]}},
        NotificationChannel={"SNSTopicArn": queue.topic},
        RoleArn=ROLE,
        Tags={"site": "home"},
    )
    session = rekognition.start_stream_processor(
        Name="porch",
        StartSelector={"KVSStreamStartSelector": {"ProducerTimestamp": 1655930623123}},
        StopSelector={"MaxDurationInSeconds": 8},
    )["SessionId"]
    assert rekognition.describe_stream_processor(Name="porch")["Status"] == "STARTING"
    first, last = queue.wait(2, 60)
    seen = first["Message"]
    assert first["Subject"] == "Rekognition Stream Processing Event"
    assert seen["eventNamespace"]["type"] == "LABEL_DETECTED" and seen["labels"][0]["name"] == "PERSON"
    assert seen["sessionId"] == session and seen["tags"] == {"site": "home"}
    assert seen["inputInformation"]["kinesisVideo"]["streamArn"] == STREAM.format("front-door")
    assert seen["startStreamProcessorRequest"]["stopSelector"] == {"maxDurationInSeconds": 8}
    assert last["Message"]["eventNamespace"]["type"] == "STREAM_PROCESSING_COMPLETE"
    until(lambda: rekognition.describe_stream_processor(Name="porch")["Status"] == "STOPPED")
    bucket, _, key = seen["labels"][0]["frameImageUri"].removeprefix("s3://").partition("/")
    assert key.startswith(f"porch/porch/{session}/")
    picture = boto3.client("s3", endpoint_url=moto_server, **KEYS).get_object(Bucket=bucket, Key=key)
    assert picture["Body"].read(2) == b"\xff\xd8"


@pytest.mark.corpus
@pytest.mark.models
@pytest.mark.kafka
async def test_a_face_is_indexed_and_found_in_a_record_of_kafka(
    box: Callable[[dict[str, Any]], Box], kafka: Any, corpus: Path
) -> None:
    bindings = {
        "streams": {"*": {"type": "file", "path": str(corpus / "video" / "whitehouse_hamilton.mp4"), "realtime": True}},
        "data_streams": {
            "faces": {"type": "kafka", "bootstrap_servers": kafka.bootstrap, "topic": "endpoint-faces"},
        },
    }
    edge = box({"bindings": bindings})
    rekognition = edge.client()
    rekognition.create_collection(CollectionId="cast")
    photo = (corpus / "faces" / "video_gallery" / "lin-manuel-miranda.png").read_bytes()
    (record,) = rekognition.index_faces(CollectionId="cast", Image={"Bytes": photo}, ExternalImageId="lin", MaxFaces=1)[
        "FaceRecords"
    ]
    rekognition.create_stream_processor(
        Name="stage",
        Input={"KinesisVideoStream": {"Arn": STREAM.format("stage")}},
        Output={"KinesisDataStream": {"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/faces"}},
        Settings={"FaceSearch": {"CollectionId": "cast", "FaceMatchThreshold": 80.0}},
        RoleArn=ROLE,
    )
    assert "SessionId" not in rekognition.start_stream_processor(Name="stage")
    until(lambda: rekognition.describe_stream_processor(Name="stage")["Status"] == "RUNNING")
    consumer = AIOKafkaConsumer("endpoint-faces", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, Any] = {}
    try:
        end = time.monotonic() + 60
        while not found and time.monotonic() < end:
            for messages in (await consumer.getmany(timeout_ms=1000)).values():
                for message in messages:
                    document = json.loads(message.value)
                    assert document["StreamProcessorInformation"] == {"Status": "RUNNING"}
                    for face in document["FaceSearchResponse"]:
                        for match in face["MatchedFaces"]:
                            found = match
    finally:
        await consumer.stop()
    assert found["Face"]["FaceId"] == record["Face"]["FaceId"] and found["Face"]["ExternalImageId"] == "lin"
    assert found["Similarity"] >= 80
    rekognition.stop_stream_processor(Name="stage")
    assert rekognition.describe_stream_processor(Name="stage")["Status"] == "STOPPED"


@pytest.mark.corpus
@pytest.mark.models
def test_a_data_stream_that_is_not_there_fails_the_processor_and_gets_its_records_once_it_is(
    box: Callable[[dict[str, Any]], Box], moto_server: str, corpus: Path
) -> None:
    clip = {"type": "file", "path": str(corpus / "video" / "intel_faces_pause.mp4"), "realtime": True, "loop": True}
    edge = box({"aws": {"endpoint_url": moto_server}, "bindings": {"streams": {"*": clip}}})
    rekognition = edge.client()
    rekognition.create_collection(CollectionId="nobody")
    rekognition.create_stream_processor(
        Name="stage",
        Input={"KinesisVideoStream": {"Arn": STREAM.format("stage")}},
        Output={"KinesisDataStream": {"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/not-yet"}},
        Settings={"FaceSearch": {"CollectionId": "nobody"}},
        RoleArn=ROLE,
    )
    rekognition.start_stream_processor(Name="stage")
    until(lambda: rekognition.describe_stream_processor(Name="stage")["Status"] == "FAILED")
    seen = rekognition.describe_stream_processor(Name="stage")
    assert seen["StatusMessage"] == "Stream not-yet under account 123456789012 not found"
    kinesis: Any = boto3.client("kinesis", endpoint_url=moto_server, **KEYS)
    kinesis.create_stream(StreamName="not-yet", ShardCount=1)
    rekognition.start_stream_processor(Name="stage")
    shard = kinesis.list_shards(StreamName="not-yet")["Shards"][0]["ShardId"]
    place = {"StreamName": "not-yet", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    until(lambda: kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(**place)["ShardIterator"])["Records"])
    seen = rekognition.describe_stream_processor(Name="stage")
    assert seen["Status"] == "RUNNING" and "StatusMessage" not in seen
    rekognition.stop_stream_processor(Name="stage")


@pytest.mark.corpus
@pytest.mark.models
@pytest.mark.kafka
def test_a_start_selector_begins_at_a_fragment_of_kafka(
    box: Callable[[dict[str, Any]], Box], kafka: Any, corpus: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "streamproc", "publish", str(corpus / "video" / "xr_doorbell_delivery.mp4")]
    command += ["--kafka", kafka.bootstrap, "--topic", "endpoint-cams", "--stream", "door", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    published = [json.loads(line) for line in done.stdout.splitlines()]
    stream = {"type": "kafka", "bootstrap_servers": kafka.bootstrap, "topic": "endpoint-cams"}
    edge = box(
        {
            "bindings": {
                "streams": {"*": stream},
                "topics": {"*": {"type": "file", "directory": str(tmp_path / "told")}},
                "buckets": {"pictures": {"type": "file", "directory": str(tmp_path / "pictures")}},
            }
        }
    )
    rekognition = edge.client()
    rekognition.create_stream_processor(
        Name="porch",
        Input={"KinesisVideoStream": {"Arn": STREAM.format("door")}},
        Output={"S3Destination": {"Bucket": "pictures"}},
        Settings={"ConnectedHome": {"Labels": ["PERSON"]}},
        NotificationChannel={"SNSTopicArn": "arn:aws:sns:us-east-1:123456789012:alerts"},
        RoleArn=ROLE,
    )
    third = published[2]
    rekognition.start_stream_processor(
        Name="porch",
        StartSelector={"KVSStreamStartSelector": {"FragmentNumber": str(third["number"])}},
        StopSelector={"MaxDurationInSeconds": 4},
    )
    until(lambda: rekognition.describe_stream_processor(Name="porch")["Status"] == "STOPPED", 60)
    lines = [json.loads(line) for line in (tmp_path / "told" / "alerts.jsonl").read_text().splitlines()]
    assert [line["eventNamespace"]["type"] for line in lines] == ["LABEL_DETECTED", "STREAM_PROCESSING_COMPLETE"]
    mapping = lines[0]["labels"][0]["videoMapping"]["kinesisVideoMapping"]
    assert int(mapping["fragmentNumber"]) >= int(third["number"])
    assert lines[0]["startStreamProcessorRequest"]["startSelector"] == {
        "kvsStreamStartSelector": {"fragmentNumber": str(third["number"])}
    }
    assert 3500 <= lines[1]["inputInformation"]["kinesisVideo"]["processedVideoDurationMillis"] <= 6500

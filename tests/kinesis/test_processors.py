"""Stream processors on streams of this node: no binding, start selectors, and records that can be joined to the pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from streamproc.media.fragments import read_fragment
from tests.conftest import skip
from tests.daemon import Daemon, wait_for
from tests.kinesis.node import KEY, client, node
from tests.kinesis.sender import ACCESS_KEY, REGION, SECRET, Sender, put
from tests.matroska import Clip, read_clip
from tests.servers import kvs_java
from tests.servers.common import Unavailable

pytestmark = [pytest.mark.corpus, pytest.mark.models]

START = 1_700_000_000.0
ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Daemon]:
    daemon = node(tmp_path)
    document = {
        "kinesis_video": {},
        "server": {"credentials": [KEY]},
        "bindings": {
            "data_streams": {"*": {"type": "file", "directory": str(tmp_path / "out")}},
            "topics": {"*": {"type": "file", "directory": str(tmp_path / "out")}},
            "buckets": {"*": {"type": "file", "directory": str(tmp_path / "pictures")}},
        },
    }
    (daemon.config / "streamproc.yaml").write_text(json.dumps(document))
    yield daemon.start()
    daemon.close()


def rekognition(daemon: Daemon) -> Any:
    return boto3.client(
        "rekognition",
        endpoint_url=daemon.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET,
    )


def stream_arn(daemon: Daemon, name: str) -> str:
    kv = client(daemon.url)
    kv.create_stream(StreamName=name)
    return str(kv.describe_stream(StreamName=name)["StreamInfo"]["StreamARN"])


def fragments(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    archive = client(daemon.url, "kinesis-video-archived-media")
    pages = archive.get_paginator("list_fragments").paginate(StreamName=name)
    return sorted((item for page in pages for item in page["Fragments"]), key=lambda item: item["FragmentNumber"])


def label_processor(api: Any, arn: str) -> None:
    api.create_stream_processor(
        Name="porch",
        Input={"KinesisVideoStream": {"Arn": arn}},
        Output={"S3Destination": {"Bucket": "pictures"}},
        Settings={"ConnectedHome": {"Labels": ["PERSON"]}},
        NotificationChannel={"SNSTopicArn": "arn:aws:sns:us-east-1:123456789012:alerts"},
        RoleArn=ROLE,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("selector", ["FragmentNumber", "ProducerTimestamp"])
def test_labels_begin_where_the_start_selector_says(box: Daemon, corpus: Path, tmp_path: Path, selector: str) -> None:
    clip = read_clip(corpus / "video" / "xr_doorbell_delivery.mp4")
    arn = stream_arn(box, "door")
    put(box.url, "door", clip.header() + b"".join(clip.clusters()), start=START)
    listed = fragments(box, "door")
    third = listed[2]
    api = rekognition(box)
    label_processor(api, arn)
    third_ms = round(third["ProducerTimestamp"].timestamp() * 1000)
    value: Any = third["FragmentNumber"] if selector == "FragmentNumber" else third_ms
    api.start_stream_processor(
        Name="porch",
        StartSelector={"KVSStreamStartSelector": {selector: value}},
        StopSelector={"MaxDurationInSeconds": 4},
    )
    wait_for(lambda: api.describe_stream_processor(Name="porch")["Status"] == "STOPPED", 90, "the session's end")
    told = lines(tmp_path / "out" / "alerts.jsonl")
    assert [line["eventNamespace"]["type"] for line in told] == ["LABEL_DETECTED", "STREAM_PROCESSING_COMPLETE"]
    mapping = told[0]["labels"][0]["videoMapping"]["kinesisVideoMapping"]
    found = next(item for item in listed if item["FragmentNumber"] == mapping["fragmentNumber"])
    assert found["FragmentNumber"] >= third["FragmentNumber"]
    assert mapping["producerTimestamp"] == pytest.approx(found["ProducerTimestamp"].timestamp() * 1000)
    assert mapping["serverTimestamp"] == pytest.approx(found["ServerTimestamp"].timestamp() * 1000)
    assert 0 <= mapping["frameOffsetMillis"] < found["FragmentLengthInMilliseconds"]


def test_face_records_carry_number_times_and_offsets_of_their_fragments(
    box: Daemon, corpus: Path, tmp_path: Path
) -> None:
    """Amazon's own overlay joins a record to the frame with that number whose time in the fragment is within 10 ms of the offset."""
    clip = read_clip(corpus / "video" / "whitehouse_hamilton.mp4", seconds=8)
    arn = stream_arn(box, "stage")
    api = rekognition(box)
    api.create_collection(CollectionId="family")
    api.create_stream_processor(
        Name="faces",
        Input={"KinesisVideoStream": {"Arn": arn}},
        Output={"KinesisDataStream": {"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/records"}},
        Settings={"FaceSearch": {"CollectionId": "family"}},
        RoleArn=ROLE,
    )
    api.start_stream_processor(Name="faces")
    wait_for(lambda: api.describe_stream_processor(Name="faces")["Status"] == "RUNNING", 60, "running")
    # What is looked at begins now: give the source the moment that it needs to find the stream's end.
    time.sleep(1)
    sender = put(box.url, "stage", clip.header() + b"".join(clip.clusters()), start=START)
    assert sender.of("PERSISTED")
    records = wait_for(
        lambda: len(found := lines(tmp_path / "out" / "records.jsonl")) >= 20 and found, 120, "face records"
    )
    offsets = frame_offsets(box, "stage")
    for record in records:
        video = record["InputInformation"]["KinesisVideo"]
        assert video["StreamArn"] == arn
        known = offsets[video["FragmentNumber"]]
        assert video["ProducerTimestamp"] == pytest.approx(known["producer"], abs=0.001)
        assert video["ServerTimestamp"] == pytest.approx(known["server"], abs=0.001)
        assert min(abs(video["FrameOffsetInSeconds"] - offset) for offset in known["frames"]) <= 0.010
    api.stop_stream_processor(Name="faces")
    overlay_joins_every_record(box, tmp_path / "out" / "records.jsonl", len(clip.packets))


def overlay_joins_every_record(daemon: Daemon, records: Path, frames: int) -> None:
    """Amazon's own program: record processor, frame visitor, decoder and renderer of its parser library."""
    try:
        kvs_java.install()
    except Unavailable as error:
        skip(str(error))
    said = kvs_java.run("Overlay", daemon.url, "stage", str(records), str(frames), ACCESS_KEY, SECRET)
    told = lines(records)
    faces = sum(len(record["FaceSearchResponse"]) for record in told)
    assert f"records {len(told)}" in said
    assert said[-1] == f"joined {len(told)} faces {faces}" and faces


def frame_offsets(daemon: Daemon, name: str) -> dict[str, dict[str, Any]]:
    archive = client(daemon.url, "kinesis-video-archived-media")
    found = {}
    for item in fragments(daemon, name):
        data = archive.get_media_for_fragment_list(StreamName=name, Fragments=[item["FragmentNumber"]])[
            "Payload"
        ].read()
        found[item["FragmentNumber"]] = {
            "producer": item["ProducerTimestamp"].timestamp(),
            "server": item["ServerTimestamp"].timestamp(),
            "frames": [float(unit.offset) for unit in read_fragment(data, "a fragment").units],
        }
    return found


def test_a_stream_that_is_not_here_fails_in_the_services_words(box: Daemon) -> None:
    api = rekognition(box)
    label_processor(api, "arn:aws:kinesisvideo:us-east-1:123456789012:stream/nowhere/1")
    api.start_stream_processor(
        Name="porch",
        StartSelector={"KVSStreamStartSelector": {"ProducerTimestamp": 1}},
        StopSelector={"MaxDurationInSeconds": 4},
    )
    wait_for(lambda: api.describe_stream_processor(Name="porch")["Status"] == "FAILED", 60, "the refusal")
    assert api.describe_stream_processor(Name="porch")["StatusMessage"] == "Stream nowhere doesn't exist"


def test_a_session_goes_on_behind_the_last_fragment_after_a_kill(box: Daemon, clip: Clip) -> None:
    stream_arn(box, "yard")
    box.put(
        "watch",
        "state: running\nsource: {type: kvs, stream: yard, endpoint_url: local, start: earliest}\n"
        "session: {mode: continuous}\nlabels: {classes: [PERSON], profile: small}\n",
    )
    sender = Sender(box.url, "yard", start=START)
    sender.send(clip.header() + b"".join(clip.clusters()[:3]))
    sender.until("PERSISTED", 2)
    box.until("watch", "running")

    def analysed() -> float:
        found = [
            line for line in box.get("/metrics").splitlines() if line.startswith("streamproc_frames_analysed_total{")
        ]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    wait_for(lambda: analysed() > 5, 60, "frames")
    box.kill()
    box.start()
    put(box.url, "yard", clip.header() + b"".join(clip.clusters()[2:]), start=START)
    wait_for(lambda: analysed() > 5, 60, "frames after the restart")
    box.terminate()
    gaps = [line for line in box.log.read_text().splitlines() if "Traceback" in line]
    assert gaps == []

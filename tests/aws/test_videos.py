"""Stored video through boto3: every Start and Get, on a canned analysis; the job engine and the store are the real ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamproc.aws.core import Core
from tests.builders.requests import refused

VIDEO = {"S3Object": {"Bucket": "videos", "Name": "clips/a.mp4", "Version": "3"}}
KINDS = ("label_detection", "segment_detection", "person_tracking", "face_detection", "face_search")
LISTS = ("Labels", "Segments", "Persons", "Faces", "Persons")


@pytest.fixture
def clip(core: Core, tmp_path: Path) -> Path:
    path = tmp_path / "videos" / "clips" / "a.mp4"
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for shade in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade * 20, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    return path


@pytest.fixture
def working(core: Core) -> Any:
    core.jobs.open_workers()
    yield
    core.jobs.close()


def start(rekognition: Any, kind: str, **more: Any) -> str:
    extra: dict[str, Any] = {}
    if kind == "segment_detection":
        extra = {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]}
    if kind == "face_search":
        extra = {"CollectionId": "family"}
    return str(getattr(rekognition, f"start_{kind}")(Video=VIDEO, **extra, **more)["JobId"])


def finished(rekognition: Any, kind: str, job: str, **more: Any) -> dict[str, Any]:
    for _ in range(200):
        answer: dict[str, Any] = getattr(rekognition, f"get_{kind}")(JobId=job, **more)
        if answer["JobStatus"] != "IN_PROGRESS":
            return answer
        assert "VideoMetadata" not in answer
        time.sleep(0.05)
    raise AssertionError("the job does not end")


@pytest.mark.parametrize(("kind", "items"), list(zip(KINDS, LISTS, strict=True)))
def test_every_kind(rekognition: Any, clip: Path, working: None, kind: str, items: str) -> None:
    rekognition.create_collection(CollectionId="family")
    job = start(rekognition, kind, JobTag="tag:1")
    assert len(job) == 64
    answer = finished(rekognition, kind, job)
    assert answer["JobStatus"] == "SUCCEEDED" and answer["JobId"] == job and answer["JobTag"] == "tag:1"
    assert answer["Video"] == VIDEO and answer[items]
    metadata = answer["VideoMetadata"][0] if kind == "segment_detection" else answer["VideoMetadata"]
    assert (metadata["Codec"], metadata["FrameWidth"], metadata["FrameHeight"]) == ("h264", 64, 48)
    get = getattr(rekognition, f"get_{kind}")
    paged, token = [], ""
    while token is not None:
        page = get(JobId=job, MaxResults=1, NextToken=token)
        paged += page[items]
        token = page.get("NextToken")
    assert paged == answer[items] and len(paged) > 1
    if kind == "segment_detection":
        assert answer["AudioMetadata"][0]["NumberOfChannels"] == 1
    other = "face_detection" if kind != "face_detection" else "label_detection"
    assert refused(getattr(rekognition, f"get_{other}"), JobId=job)[0] == "ResourceNotFoundException"


def test_label_pages_orders_and_aggregates(rekognition: Any, clip: Path, working: None) -> None:
    job = start(rekognition, "label_detection")
    whole = finished(rekognition, "label_detection", job)
    assert whole["GetRequestMetadata"] == {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"}
    first = rekognition.get_label_detection(JobId=job, MaxResults=1, NextToken="")
    assert first["VideoMetadata"] == whole["VideoMetadata"]
    second = rekognition.get_label_detection(JobId=job, MaxResults=5, NextToken=first["NextToken"])
    assert first["Labels"] + second["Labels"] == whole["Labels"] and "NextToken" not in second
    spans = rekognition.get_label_detection(JobId=job, AggregateBy="SEGMENTS", SortBy="NAME")["Labels"]
    assert spans[0]["DurationMillis"] == 500 and "Instances" not in spans[0]["Label"]
    for change in ({"SortBy": "NAME"}, {"AggregateBy": "SEGMENTS"}):
        code, _ = refused(rekognition.get_label_detection, JobId=job, NextToken=first["NextToken"], **change)
        assert code == "InvalidPaginationTokenException"
    assert rekognition.get_label_detection(JobId=job, MaxResults=100_000)["Labels"] == whole["Labels"]


def test_tokens_tags_and_refusals(rekognition: Any, clip: Path) -> None:
    job = start(rekognition, "label_detection", ClientRequestToken="t-1", MinConfidence=60.0)
    assert start(rekognition, "label_detection", ClientRequestToken="t-1", MinConfidence=60.0) == job
    assert refused(rekognition.start_label_detection, Video=VIDEO, ClientRequestToken="t-1", MinConfidence=61.0) == (
        "IdempotentParameterMismatchException",
        "The ClientRequestToken: t-1 you have supplied is already in use.",
    )
    assert start(rekognition, "person_tracking", ClientRequestToken="t-1") != job
    code, text = refused(
        rekognition.start_label_detection, Video={"S3Object": {"Bucket": "videos", "Name": "none.mp4"}}
    )
    assert (code, text[:34]) == ("InvalidS3ObjectException", "Unable to get object metadata from")
    assert refused(rekognition.start_label_detection, Video={})[0] == "InvalidParameterException"
    assert refused(rekognition.start_face_search, Video=VIDEO, CollectionId="none")[0] == "ResourceNotFoundException"
    assert refused(rekognition.get_label_detection, JobId="0" * 64)[0] == "ResourceNotFoundException"
    channel = {"SNSTopicArn": "arn:aws:sns:us-east-1:123456789012:none", "RoleArn": "arn:aws:iam::123456789012:role/r"}
    code, text = refused(rekognition.start_label_detection, Video=VIDEO, NotificationChannel=channel)
    assert code == "InvalidParameterException" and "not bound" in text


def test_more_jobs_than_the_service_takes(rekognition: Any, clip: Path) -> None:
    for _ in range(20):
        start(rekognition, "label_detection")
    code, text = refused(rekognition.start_label_detection, Video=VIDEO)
    assert code == "LimitExceededException"
    assert text.startswith("20  open Jobs for User arn:aws:iam::123456789012:user/") and text.endswith(
        "Maximum limit: 20"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_video_fails_the_job(rekognition: Any, clip: Path, working: None, kind: str) -> None:
    rekognition.create_collection(CollectionId="family")
    clip.write_text("no video")
    answer = finished(rekognition, kind, start(rekognition, kind))
    assert (answer["JobStatus"], answer["StatusMessage"]) == ("FAILED", "Unsupported codec/format.")

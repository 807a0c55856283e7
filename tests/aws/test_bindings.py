"""What names mean on this box: bindings first, by the closest match, then the user's own AWS, else nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamproc.aws.bindings import Resolver, Unbound
from streamproc.aws.buckets import Buckets
from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.node import AwsSettings, Bindings
from streamproc.config.processor import ConnectorRef

VIDEO = "arn:aws:kinesisvideo:us-east-1:123456789012:stream/{}/1510552593"
DATA = "arn:aws:kinesis:us-east-1:123456789012:stream/{}"
TOPIC = "arn:aws:sns:us-east-1:123456789012:{}"
BINDINGS: dict[str, Any] = {
    "streams": {
        "front-door": {"type": "rtsp", "url": "rtsp://a/1"},
        VIDEO.format("exact"): {"type": "file", "path": "clip.mp4"},
        "cam-*": {"type": "kafka", "topic": "cams"},
        "cam-9*": {"type": "kafka", "topic": "nine", "stream": "own"},
        "*": {"type": "rtsp", "url": "rtsp://any/1"},
    },
    "data_streams": {"faces": {"type": "file", "directory": "records"}, "log": {"type": "kafka", "topic": "t"}},
    "topics": {
        "alerts": {"type": "webhook", "url": "http://h", "format": "plain"},
        "f": {"type": "file", "directory": "/f"},
    },
    "buckets": {
        "videos": {"type": "file", "directory": "videos"},
        "far": {"type": "s3", "bucket": "other", "prefix": "x"},
    },
}


def resolver(credentials: bool = False, **aws: Any) -> Resolver:
    return Resolver(Bindings.model_validate(BINDINGS), AwsSettings(**aws), lambda: credentials, Path("/etc/box"))


@pytest.mark.parametrize(
    ("stream", "options"),
    [
        ("front-door", {"url": "rtsp://a/1"}),
        ("exact", {"path": "/etc/box/clip.mp4"}),
        ("cam-1", {"topic": "cams", "stream": "cam-1"}),
        ("cam-99", {"topic": "nine", "stream": "own"}),
        ("attic", {"url": "rtsp://any/1"}),
    ],
)
def test_streams(stream: str, options: dict[str, str]) -> None:
    assert resolver().video_stream(VIDEO.format(stream)).options == options


def test_data_streams() -> None:
    records = resolver().data_stream(DATA.format("faces"))
    assert records.type == "file" and records.options["directory"] == "/etc/box/records"
    assert records.options["stream"] == "faces" and records.options["format"] == "aws"
    with pytest.raises(Unbound, match=r"^Stream none under account 123456789012 not found$"):
        resolver().data_stream(DATA.format("none"))
    own = resolver(credentials=True).data_stream(DATA.format("none"))
    assert own.type == "kinesis" and own.options == {"stream_arn": DATA.format("none"), "region": "us-east-1"}


def test_topics_and_buckets() -> None:
    assert resolver().topic(TOPIC.format("alerts")).options["format"] == "plain"
    assert resolver().topic(TOPIC.format("f")).options["stream"] == "f"
    for ask in (lambda: resolver().topic(TOPIC.format("x")), lambda: resolver().bucket("x", "", None)):
        with pytest.raises(Unbound, match="not bound"):
            ask()
    own = resolver(endpoint_url="http://moto")
    assert own.topic(TOPIC.format("x")).options["endpoint_url"] == "http://moto"
    assert own.bucket("x", "p", "key").options["kms_key_id"] == "key"
    assert resolver().bucket("far", "porch", None).options["prefix"] == "x/porch"


def test_encryption_that_was_asked_for_is_passed_on_or_refused() -> None:
    far = resolver().bucket("far", "porch", "alias/home").options
    assert far["kms_key_id"] == "alias/home" and far["uri_base"] == "s3://far/porch", (
        "pictures are named as the client asked for them"
    )
    with pytest.raises(Unbound, match="cannot encrypt with KmsKeyId"):
        resolver().bucket("videos", "porch", "alias/home")


@pytest.mark.parametrize(
    "key",
    ["/lead.mp4", "a//b.mp4", "./lead.mp4", "a/../lead.mp4", "..", "", "a\0", "x" * 300, "y/" * 3000, "lead.mp4/"],
)
def test_a_folder_has_only_the_keys_that_are_its_files(tmp_path: Path, key: str) -> None:
    (tmp_path / "a").mkdir()
    for name in ("lead.mp4", "a/b.mp4"):
        (tmp_path / name).write_bytes(b"video")
    buckets = Buckets(
        {"videos": ConnectorRef.model_validate({"type": "file", "directory": str(tmp_path)})}, AwsSettings()
    )
    assert buckets.place({"Bucket": "videos", "Name": "a/b.mp4"}).path == tmp_path / "a" / "b.mp4"
    with pytest.raises(AwsFault, match="S3"):
        buckets.place({"Bucket": "videos", "Name": key})


@pytest.mark.parametrize("prefix", ["", "porch", "../../etc", "/porch/", "a/./../b", "..\x00"])
def test_a_prefix_stays_in_the_bucket(prefix: str) -> None:
    folder = Path(str(resolver().bucket("videos", prefix, None).options["directory"]))
    assert folder.resolve().is_relative_to("/etc/box/videos")

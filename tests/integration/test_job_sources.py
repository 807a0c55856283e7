"""Where stored videos come from: web servers, buckets with credentials of their own, versions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest

from connectors.chain import chain_endpoint
from streamproc.aws.buckets import Buckets
from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.node import AwsSettings
from streamproc.config.processor import ConnectorRef
from streamproc.jobs.model import JobState, VideoRef
from streamproc.jobs.sources import GONE, InvalidObject, StoreSettings
from streamproc.jobs.video import UNSUPPORTED
from tests import videos
from tests.builders.segment_jobs import run


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.edit(tmp_path_factory.mktemp("clip") / "clip.mp4", sound=True)


def test_a_playlist_is_no_video(tmp_path: Path, clip: Path, web: dict[str, Any]) -> None:
    """Whoever may put a file into a bucket may not have the box read another one, or ask another host."""
    with av.open(str(clip)) as source, av.open(str(tmp_path / "part.ts"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    for number, part in enumerate([f"file://{tmp_path}/part.ts", "part.ts", web["url"].replace("mp4", "ts")]):
        playlist = tmp_path / f"list{number}.m3u8"
        playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{part}\n#EXT-X-ENDLIST\n")
        job, _ = run(tmp_path / f"data{number}", str(playlist))
        assert (job.state, job.message) == (JobState.FAILED, UNSUPPORTED)
    assert web["requests"] == 0


class _Ranges(BaseHTTPRequestHandler):
    """Serves one file by ranges; after ``allowed`` requests it is gone."""

    def __init__(self, state: dict[str, Any], *args: Any) -> None:
        self.state = state
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, *, head: bool) -> None:
        data: bytes = self.state["data"]
        self.state["requests"] += 1
        if self.state["requests"] > self.state["allowed"]:
            self.send_error(404)
            return
        start, end = 0, len(data)
        asked = self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(len(data), int(last) + 1 if last else len(data))
            self.state["bytes"] += end - start
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", '"one"')
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if not head:
            self.wfile.write(data[start:end])

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def web(clip: Path) -> Iterator[dict[str, Any]]:
    state: dict[str, Any] = {"data": clip.read_bytes(), "requests": 0, "allowed": 10**6, "bytes": 0}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, state))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state["url"] = f"http://127.0.0.1:{server.server_port}/clip.mp4"
    yield state
    server.shutdown()


def test_from_a_web_server(tmp_path: Path, clip: Path, web: dict[str, Any]) -> None:
    local, here = run(tmp_path / "a", str(clip))
    remote, there = run(tmp_path / "b", web["url"])
    assert remote.state is JobState.SUCCEEDED, remote.message
    assert there.result(remote.id) == here.result(local.id)


def test_an_object_that_vanishes(tmp_path: Path, web: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.jobs.sources.BLOCK", 16_384)
    web["allowed"] = 12
    job, _ = run(tmp_path, web["url"])
    assert (job.state, job.message) == (JobState.FAILED, GONE)


@pytest.mark.s3
def test_from_an_s3_store(tmp_path: Path, clip: Path, s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # It keeps the keys of whichever test used it first.
    s3_server.make_bucket("stored-videos")
    client = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1")
    client.upload_file(str(clip), "stored-videos", "in/some folder/clip.mp4")
    settings = StoreSettings(s3_server.endpoint)
    job, service = run(tmp_path, "s3://stored-videos/in/some folder/clip.mp4", settings)
    assert job.state is JobState.SUCCEEDED, job.message
    assert len(service.result(job.id)["shots"]) == 4
    with pytest.raises(InvalidObject, match="Unable to get object metadata from S3"):
        run(tmp_path, "s3://stored-videos/nothing.mp4", settings)


@pytest.mark.s3
@pytest.mark.logs_errors("store_credentials_missing")
async def test_a_bound_bucket_has_its_own_credentials_and_prefix(
    tmp_path: Path, clip: Path, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    keys = {"aws_access_key_id": s3_server.access_key, "aws_secret_access_key": s3_server.secret_key}
    client: Any = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1", **keys)
    s3_server.make_bucket("nas-bucket")
    client.upload_file(str(clip), "nas-bucket", "cams/day/clip.mp4")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody-else")
    monkeypatch.setenv("NAS_KEY", s3_server.access_key)
    monkeypatch.setenv("NAS_SECRET", s3_server.secret_key)
    bound = {"type": "s3", "endpoint_url": s3_server.endpoint, "bucket": "nas-bucket", "prefix": "/cams/"}
    bound |= {"access_key_id_env": "NAS_KEY", "secret_access_key_env": "NAS_SECRET"}
    buckets = Buckets({"videos": ConnectorRef.model_validate(bound)}, AwsSettings())
    named = {"Bucket": "videos", "Name": "day/clip.mp4"}
    assert await buckets.read(named, 10**8) == clip.read_bytes()
    place = buckets.place(named)
    ref = VideoRef(f"s3://{place.bucket}/{place.key}", dict(place.options))
    assert s3_server.secret_key not in str(ref)
    job, _ = await asyncio.to_thread(run, tmp_path / "a", ref)
    assert job.state is JobState.SUCCEEDED, job.message
    monkeypatch.delenv("NAS_SECRET")
    with pytest.raises(InvalidObject, match="Unable to get object metadata from S3"):
        run(tmp_path / "b", ref)
    with pytest.raises(AwsFault, match="Unable to get object metadata"):
        await buckets.read(named, 10**8)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_s3_that_the_environment_names(
    tmp_path: Path, clip: Path, moto_server: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import boto3

    keys = {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto", "AWS_DEFAULT_REGION": "us-east-1"}
    for key, value in (keys | {name: moto_server}).items():
        monkeypatch.setenv(key, value)
    client: Any = boto3.client("s3")
    client.create_bucket(Bucket="environ")
    client.upload_file(str(clip), "environ", "clip.mp4")
    job, _ = run(tmp_path, "s3://environ/clip.mp4")
    assert job.state is JobState.SUCCEEDED, job.message
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert chain_endpoint("s3") is None


def test_the_version_that_was_named_is_read(
    tmp_path: Path, clip: Path, moto_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto", "region_name": "us-east-1"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "moto")
    client: Any = boto3.client("s3", endpoint_url=moto_server, **keys)
    client.create_bucket(Bucket="versions")
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket="versions", Key="clip.mp4", Body=clip.read_bytes())["VersionId"]
    second = client.put_object(Bucket="versions", Key="clip.mp4", Body=b"no video")["VersionId"]
    settings = StoreSettings(moto_server)
    states = {}
    for number, version in enumerate((first, second, None)):
        video = VideoRef("s3://versions/clip.mp4", version=version)
        job, _ = run(tmp_path / str(number), video, settings)
        states[version] = (job.state, job.message)
    assert states == {
        first: (JobState.SUCCEEDED, None),
        second: (JobState.FAILED, UNSUPPORTED),
        None: (JobState.FAILED, UNSUPPORTED),
    }
    with pytest.raises(InvalidObject, match="Unable to get object metadata from S3"):
        run(tmp_path, VideoRef("s3://versions/clip.mp4", version="none-of-its-versions"), settings)

"""Programs that nobody here wrote, each started for real, plain and with TLS."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from aiobotocore.session import get_session

from streamproc.media.fragments import read_fragment
from streamproc.media.matroska import Cutter
from streamproc.media.matroska_events import ClusterEnd, Header
from tests.conftest import skip
from tests.daemon import Daemon
from tests.kinesis.node import client, get_media, node
from tests.kinesis.sender import ACCESS_KEY, REGION, SECRET, put
from tests.matroska import Clip, block, cluster, head
from tests.servers import kvs_java, kvs_node
from tests.servers.certificates import Authority
from tests.servers.common import Unavailable

ALL = {"StartSelectorType": "EARLIEST"}
START = 1_700_000_000.0


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    """A node with TLS, and the authority's certificate."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    certificate, key = authority.sign("node")
    daemon = node(
        folder,
        server={"tls_cert": str(certificate), "tls_key": str(key)},
        tls=ssl.create_default_context(cafile=str(authority.certificate)),
    ).start()
    yield daemon, authority.certificate
    daemon.close()


@pytest.fixture(scope="module")
def java() -> Path:
    try:
        return kvs_java.install()
    except Unavailable as error:
        skip(str(error))
        raise


def fragments(daemon: Daemon, stream: str, **options: object) -> list[dict]:  # type: ignore[type-arg]
    archive = client(daemon.url, "kinesis-video-archived-media", **options)
    pages = archive.get_paginator("list_fragments").paginate(StreamName=stream)
    found = [item for page in pages for item in page["Fragments"]]
    return sorted(found, key=lambda item: item["FragmentNumber"])


def frames(daemon: Daemon, stream: str, **options: object) -> list[bytes]:
    """Every video frame of a stream, in order."""
    archive = client(daemon.url, "kinesis-video-archived-media", **options)
    found: list[bytes] = []
    for item in fragments(daemon, stream, **options):
        payload = archive.get_media_for_fragment_list(StreamName=stream, Fragments=[item["FragmentNumber"]])["Payload"]
        found += [bytes(unit.raw) for unit in read_fragment(payload.read(), "a fragment").units]
    return found


# -- producers


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_the_producer_sdk_sends_every_frame(
    kvs: Daemon, secure: tuple[Daemon, Path], java: Path, tmp_path: Path, tls: bool
) -> None:
    """It makes and tags the stream, asks for the endpoint, and sends eight seconds of H.264."""
    daemon, trust, options = kvs, None, {}
    if tls:
        daemon = secure[0]
        trust = kvs_java.trust_store(secure[1], tmp_path / "trust.jks")
        options = {"verify": str(secure[1])}
    name = f"sdk-{tls}"
    said = kvs_java.run(
        "PutSdk", daemon.url, name, f"{java / 'data' / 'h264'}/", "video", "8", ACCESS_KEY, SECRET, trust=trust
    )
    assert any(line.startswith("stopped in") for line in said)
    kept = frames(daemon, name, **options)
    sent = [(java / "data" / "h264" / f"frame-{n:03d}.h264").read_bytes() for n in range(1, len(kept) + 1)]
    assert len(kept) > 120
    assert kept == sent
    listed = fragments(daemon, name, **options)
    assert [item["FragmentNumber"] for item in listed] == sorted({item["FragmentNumber"] for item in listed})
    assert abs(listed[0]["ProducerTimestamp"].timestamp() - time.time()) < 60


@pytest.mark.slow
def test_the_producer_sdk_sends_two_tracks_with_absolute_times(kvs: Daemon, java: Path) -> None:
    kvs_java.run(
        "PutSdk", kvs.url, "both", str(java / "data" / "audio-video-frames"), "audiovideo", "8", ACCESS_KEY, SECRET
    )
    listed = fragments(kvs, "both")
    assert len(listed) >= 2
    chunk = get_media(kvs.url, "both", ALL, 1)[0]
    assert [(track.number, track.codec) for track in chunk.header.tracks] == [(1, "V_MPEG4/ISO/AVC"), (2, "A_AAC")]
    timecode = chunk.clusters[0].timecode_ms
    assert listed[0]["ProducerTimestamp"].timestamp() * 1000 == pytest.approx(timecode, abs=1)


@pytest.mark.slow
def test_putmedia_of_sdk_v1_sends_a_file(kvs: Daemon, java: Path) -> None:
    """Absolute request line, ISO start time, a payload hash of its own; a file with known sizes, cues and tags."""
    client(kvs.url).create_stream(StreamName="v1")
    file = java / "data" / "mkv" / "clusters.mkv"
    said = kvs_java.run("PutV1", kvs.url, "v1", str(file), "RELATIVE", "1700000000005", ACCESS_KEY, SECRET)
    persisted = [line.split()[2] for line in said if line.startswith("ack PERSISTED")]
    listed = fragments(kvs, "v1")
    assert "complete" in said and [item["FragmentNumber"] for item in listed] == persisted
    assert listed[0]["ProducerTimestamp"].timestamp() == pytest.approx(1_700_000_000.005, abs=0.0001)
    assert frames(kvs, "v1") == [bytes(unit.raw) for unit in read_fragment(file.read_bytes(), "the file").units]


def test_ffmpeg_and_curl_send_a_file(kvs: Daemon, clip_file: Path, clip: Clip) -> None:
    """libcurl signs by itself, and waits for 100 Continue."""
    if not shutil.which("ffmpeg") or not shutil.which("curl"):
        skip("needs ffmpeg and curl")
    client(kvs.url).create_stream(StreamName="curl")
    ffmpeg = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-i", str(clip_file), "-c", "copy", "-f", "matroska", "-"], stdout=subprocess.PIPE
    )
    curl = ["curl", "-sS", "-N", "-X", "POST", "-T", "-", "--aws-sigv4", f"aws:amz:{REGION}:kinesisvideo"]
    curl += ["-u", f"{ACCESS_KEY}:{SECRET}", "-H", "x-amzn-stream-name: curl"]
    curl += ["-H", "x-amzn-fragment-timecode-type: RELATIVE", "-H", f"x-amzn-producer-start-timestamp: {START:.3f}"]
    done = subprocess.run([*curl, f"{kvs.url}/putMedia"], stdin=ffmpeg.stdout, capture_output=True, timeout=60)
    assert ffmpeg.wait() == 0 and done.returncode == 0, done.stderr
    acks = [json.loads(line) for line in done.stdout.splitlines()]
    assert {ack["EventType"] for ack in acks} == {"BUFFERING", "RECEIVED", "PERSISTED"}
    assert frames(kvs, "curl") == [data for _, _, data in clip.packets]
    listed = fragments(kvs, "curl")
    # FFmpeg's own clusters begin anywhere; joined, every fragment begins with a keyframe.
    assert all(item["ProducerTimestamp"].timestamp() % 1 < 0.001 for item in listed)


# -- consumers


@pytest.fixture(scope="module")
def filled(kvs: Daemon, clip: Clip) -> str:
    client(kvs.url).create_stream(StreamName="consumers")
    put(kvs.url, "consumers", clip.header() + b"".join(clip.clusters()), start=START)
    return "consumers"


@pytest.mark.slow
def test_the_parser_library_finds_every_frame(kvs: Daemon, java: Path, filled: str, clip: Clip) -> None:
    said = kvs_java.run("GetParser", kvs.url, filled, "150", ACCESS_KEY, SECRET)
    found = [line.split()[1:] for line in said if line.startswith("frame ")]
    listed = fragments(kvs, filled)
    assert [item[4] for item in found] == [hashlib.sha256(data).hexdigest() for _, _, data in clip.packets]
    assert [item[0] for item in found] == [listed[n // 25]["FragmentNumber"] for n in range(150)]
    assert [int(item[1]) for item in found] == [round(START * 1000) + 1000 * (n // 25) for n in range(150)]


def environment() -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": REGION}
    return {**os.environ, **keys}


def test_the_aws_cli_lists_and_reads(kvs: Daemon, filled: str, tmp_path: Path) -> None:
    aws = [sys.executable, "-m", "awscli", "--endpoint-url", kvs.url]

    def run(*arguments: str) -> str:
        done = subprocess.run([*aws, *arguments], env=environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert (
        json.loads(run("kinesisvideo", "describe-stream", "--stream-name", filled))["StreamInfo"]["Status"] == "ACTIVE"
    )
    listed = json.loads(run("kinesis-video-archived-media", "list-fragments", "--stream-name", filled))["Fragments"]
    assert len(listed) == 6
    # It writes by the megabyte, so small streams stay in its buffer.
    client(kvs.url).create_stream(StreamName="cli")
    parts = [cluster(1000 * n, block(0, bytes([n]) * 700_000, key=True), unknown=True) for n in range(4)]
    put(kvs.url, "cli", head() + b"".join(parts))
    out = tmp_path / "media.mkv"
    selector = "StartSelectorType=EARLIEST"
    reading = subprocess.Popen(
        [*aws, "kinesis-video-media", "get-media", "--stream-name", "cli", "--start-selector", selector, str(out)],
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not out.exists() or out.stat().st_size < 2_000_000:
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        reading.kill()  # it never ends by itself
        reading.wait()
    data = out.read_bytes()
    assert parts[0] in data and parts[1] in data


async def test_aiobotocore_reads_what_is_there(kvs: Daemon, filled: str) -> None:
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET, "region_name": REGION}
    async with get_session().create_client("kinesis-video-media", endpoint_url=kvs.url, **keys) as media:
        answer = await media.get_media(StreamName=filled, StartSelector=ALL)
        cutter, headers = Cutter(), 0
        async with answer["Payload"] as body:
            while headers < 6:
                headers += sum(isinstance(event, Header) for event in cutter.feed(await body.read(65_536)))
    assert headers == 6


def test_the_javascript_sdk_lists_reads_clips_and_shows(kvs: Daemon, filled: str, clip: Clip, tmp_path: Path) -> None:
    try:
        kvs_node.install()
    except Unavailable as error:
        skip(str(error))
    found = kvs_node.get(kvs.url, filled, ACCESS_KEY, SECRET, str(tmp_path), "6")
    assert filled in found["names"] and found["arn"].split("/")[1] == filled and found["endpoint"] == kvs.url
    listed = fragments(kvs, filled)
    assert [item["FragmentNumber"] for item in found["fragments"]] == [item["FragmentNumber"] for item in listed]
    first = read_fragment((tmp_path / "first.mkv").read_bytes(), "a fragment")
    assert [bytes(unit.raw) for unit in first.units] == [data for _, _, data in clip.packets[:25]]
    events = Cutter().feed((tmp_path / "media.mkv").read_bytes())
    assert [event.data for event in events if isinstance(event, ClusterEnd)][:6] == clip.clusters()
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == len(clip.packets)
    assert len(found["images"]) == 6
    with av.open(str(tmp_path / "first.jpg")) as picture:
        assert next(picture.decode(video=0)).width == 320


def test_boto3_needs_one_variable_alone(kvs: Daemon, filled: str) -> None:
    code = (
        "import boto3; print([s['StreamName'] for s in boto3.client('kinesisvideo').list_streams()['StreamInfoList']])"
    )
    environ = {**environment(), "AWS_ENDPOINT_URL_KINESIS_VIDEO": kvs.url}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
    assert filled in done.stdout, done.stderr


def test_tls_from_end_to_end(secure: tuple[Daemon, Path], clip: Clip) -> None:
    daemon, certificate = secure
    kv = client(daemon.url, verify=str(certificate))
    kv.create_stream(StreamName="tls")
    assert kv.get_data_endpoint(StreamName="tls", APIName="PUT_MEDIA")["DataEndpoint"] == daemon.url
    sender = put(
        daemon.url,
        "tls",
        clip.header() + b"".join(clip.clusters()),
        start=START,
        tls=ssl.create_default_context(cafile=str(certificate)),
    )
    assert len(sender.of("PERSISTED")) == 6
    assert frames(daemon, "tls", verify=str(certificate)) == [data for _, _, data in clip.packets]

"""GetMedia by every selector, and the archive."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import av
import cv2
import numpy as np
import pytest
from botocore.exceptions import ClientError

from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.clip import clip_bytes
from streamproc.media.matroska import Cutter
from streamproc.media.matroska_events import Header
from tests.daemon import Daemon
from tests.kinesis.node import client, get_media, header_tags
from tests.kinesis.sender import Sender, put
from tests.matroska import Clip, block, cluster, head, track

START = 1_700_000_000.0


@pytest.fixture(scope="module")
def filled(kvs: Daemon, clip: Clip) -> tuple[str, list[dict[str, Any]]]:
    """A stream with six fragments of a second each, and what ListFragments says of them."""
    client(kvs.url).create_stream(StreamName="filled")
    put(kvs.url, "filled", clip.header() + b"".join(clip.clusters()), start=START)
    found = client(kvs.url, "kinesis-video-archived-media").list_fragments(StreamName="filled")["Fragments"]
    return "filled", sorted(found, key=lambda item: item["FragmentNumber"])


def test_each_selector_begins_where_it_says(kvs: Daemon, filled: tuple[str, list[dict[str, Any]]]) -> None:
    name, listed = filled
    numbers = [item["FragmentNumber"] for item in listed]

    def first(kind: str, **members: Any) -> int:
        chunk = get_media(kvs.url, name, {"StartSelectorType": kind, **members}, 1)[0]
        return numbers.index(chunk.number)

    assert first("EARLIEST") == 0
    assert first("NOW") == 5
    assert first("FRAGMENT_NUMBER", AfterFragmentNumber=numbers[2]) == 3
    assert first("CONTINUATION_TOKEN", ContinuationToken=numbers[3]) == 4
    assert first("PRODUCER_TIMESTAMP", StartTimestamp=START + 2.5) == 2
    assert first("PRODUCER_TIMESTAMP", StartTimestamp=START - 50) == 0
    assert first("SERVER_TIMESTAMP", StartTimestamp=listed[0]["ServerTimestamp"].timestamp() - 5) == 0


def test_a_reader_at_the_edge_gets_what_comes(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    name = stream()
    sender = Sender(kvs.url, name)
    sender.send(clip.header() + b"".join(clip.clusters()[:2]))
    sender.until("PERSISTED")
    payload = client(kvs.url, "kinesis-video-media").get_media(
        StreamName=name, StartSelector={"StartSelectorType": "NOW"}
    )["Payload"]
    cutter, seen = Cutter(), list[str]()
    for _ in range(20):
        for event in cutter.feed(payload._raw_stream.read1(65536)):
            if isinstance(event, Header):
                seen.append(header_tags(event.data)["AWS_KINESISVIDEO_FRAGMENT_NUMBER"])
        if len(seen) == 1:
            sender.send(b"".join(clip.clusters()[2:4]))
        if len(seen) == 3:
            break
    sender.close()
    assert len(seen) == 3 and seen == sorted(seen)


def test_selectors_without_their_members_and_streams_that_are_not_there(
    kvs: Daemon, filled: tuple[str, list[dict[str, Any]]]
) -> None:
    media = client(kvs.url, "kinesis-video-media")
    for name, selector, code in (
        ("filled", {"StartSelectorType": "FRAGMENT_NUMBER"}, "InvalidArgumentException"),
        ("filled", {"StartSelectorType": "PRODUCER_TIMESTAMP"}, "InvalidArgumentException"),
        ("filled", {"StartSelectorType": "CONTINUATION_TOKEN", "ContinuationToken": "abc"}, "InvalidArgumentException"),
        ("nobody", {"StartSelectorType": "NOW"}, "ResourceNotFoundException"),
    ):
        with pytest.raises(ClientError) as caught:
            media.get_media(StreamName=name, StartSelector=selector)
        assert caught.value.response["Error"]["Code"] == code


def span(begin: float, end: float) -> dict[str, datetime]:
    return {
        "StartTimestamp": datetime.fromtimestamp(START + begin, UTC),
        "EndTimestamp": datetime.fromtimestamp(START + end, UTC),
    }


def test_fragments_are_listed_by_range_and_in_pages(kvs: Daemon, filled: tuple[str, list[dict[str, Any]]]) -> None:
    archive = client(kvs.url, "kinesis-video-archived-media")
    selector = {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": span(1, 4)}
    pages = list(
        archive.get_paginator("list_fragments").paginate(
            StreamName="filled", FragmentSelector=selector, PaginationConfig={"PageSize": 3}
        )
    )
    assert [len(page["Fragments"]) for page in pages] == [3, 1]
    times = [item["ProducerTimestamp"].timestamp() - START for page in pages for item in page["Fragments"]]
    assert times == [1, 2, 3, 4]


def test_fragments_by_number_also_those_that_are_gone(
    kvs: Daemon, filled: tuple[str, list[dict[str, Any]]], clip: Clip
) -> None:
    archive = client(kvs.url, "kinesis-video-archived-media")
    numbers = [filled[1][4]["FragmentNumber"], filled[1][1]["FragmentNumber"]]
    data = archive.get_media_for_fragment_list(StreamName="filled", Fragments=numbers)["Payload"].read()
    cutter = Cutter()
    events = cutter.feed(data) + cutter.finish()
    headers = [header_tags(event.data) for event in events if isinstance(event, Header)]
    assert [item["AWS_KINESISVIDEO_FRAGMENT_NUMBER"] for item in headers] == numbers
    assert clip.clusters()[4] in data and clip.clusters()[1] in data
    assert b"CONTINUATION_TOKEN" not in data
    gone = archive.get_media_for_fragment_list(StreamName="filled", Fragments=["9" * 47])["Payload"].read()
    assert header_tags(gone)["AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE"] == "4000"


def test_a_clip_holds_every_packet_of_the_range(
    kvs: Daemon, filled: tuple[str, list[dict[str, Any]]], clip: Clip
) -> None:
    archive = client(kvs.url, "kinesis-video-archived-media")
    selector = {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": span(1, 3)}
    answer = archive.get_clip(StreamName="filled", ClipFragmentSelector=selector)
    assert answer["ContentType"] == "video/mp4"
    with av.open(io.BytesIO(answer["Payload"].read())) as container:
        assert container.format.name.startswith("mov")
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
        assert [bytes(packet) for packet in packets] == [data for _, _, data in clip.packets[25:100]]
        assert [round(float(packet.pts * packet.time_base) * 1000) for packet in packets] == list(range(0, 3000, 40))


def test_a_clip_keeps_pauses_and_leaves_repetitions_out(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    name, clusters = stream(), clip.clusters()
    put(kvs.url, name, clip.header() + clusters[0], start=START)
    put(kvs.url, name, clip.header() + clusters[1], start=START + 10)
    other = clip.clusters(unknown=False)[0]  # the same second once more, in other bytes
    put(kvs.url, name, clip.header() + other, start=START)
    archive = client(kvs.url, "kinesis-video-archived-media")
    selector = {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": span(0, 60)}
    made = archive.get_clip(StreamName=name, ClipFragmentSelector=selector)["Payload"].read()
    with av.open(io.BytesIO(made)) as container:
        times = [float(p.pts * p.time_base) for p in container.demux(container.streams.video[0]) if p.size]
    assert len(times) == 50 and times[25] - times[24] == pytest.approx(10.04, abs=0.01)


def test_fragments_that_overlap_are_one_clip(clip: Clip) -> None:
    """A camera whose clock is corrected by 43 ms between two fragments; no packet is lost, and time never goes back."""
    clusters = clip.clusters(unknown=False)[:3]
    begins = tuple(int(START * 1000) + later for later in (0, 957, 1957))
    parts = [
        (FragmentInfo(str(at), at, at, 1000, len(each)), clip.header() + each)
        for at, each in zip(begins, clusters, strict=True)
    ]
    with av.open(io.BytesIO(clip_bytes(parts))) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [bytes(packet) for packet in packets] == [data for _, _, data in clip.packets[:75]]
    times = [packet.dts for packet in packets]
    assert all(before < after for before, after in itertools.pairwise(times))


def test_what_no_clip_can_be_made_of_is_said(kvs: Daemon, stream: Callable[[], str]) -> None:
    archive = client(kvs.url, "kinesis-video-archived-media")
    annexb, unknown, empty = stream(), stream(), stream()
    start_code = b"\0\0\0\1\x67\x42\0\x0a\xf8\x41\xa2"
    put(kvs.url, annexb, head(track(private=b"")) + cluster(0, block(0, start_code, key=True)), start=START)
    put(kvs.url, unknown, head(track(codec="V_UNCOMPRESSED")) + cluster(0, block(0, b"x" * 50, key=True)), start=START)
    for name, code in (
        (annexb, "MissingCodecPrivateDataException"),
        (unknown, "UnsupportedStreamMediaTypeException"),
        (empty, "ResourceNotFoundException"),
    ):
        selector = {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": span(-10, 60)}
        with pytest.raises(ClientError) as caught:
            archive.get_clip(StreamName=name, ClipFragmentSelector=selector)
        assert caught.value.response["Error"]["Code"] == code


def test_images_show_what_was_seen_at_their_instants(
    kvs: Daemon, filled: tuple[str, list[dict[str, Any]]], clip_file: Any
) -> None:
    archive = client(kvs.url, "kinesis-video-archived-media")
    asked = {"ImageSelectorType": "PRODUCER_TIMESTAMP", "SamplingInterval": 1500, "Format": "PNG", **span(0.5, 9)}
    images = archive.get_images(StreamName="filled", **asked)["Images"]
    assert [item["TimeStamp"].timestamp() - START for item in images] == [0.5, 2, 3.5, 5, 6.5, 8]
    assert [item.get("Error") for item in images] == [None, None, None, None, "NO_MEDIA", "NO_MEDIA"]
    with av.open(str(clip_file)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for item, index in zip(images, (12, 50, 87, 125), strict=False):
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(item["ImageContent"]), np.uint8), cv2.IMREAD_COLOR)
        errors = [np.abs(picture.astype(int) - frame.astype(int)).mean() for frame in frames[index - 2 : index + 3]]
        assert int(np.argmin(errors)) == 2 and errors[2] < 3


def test_images_come_in_pages_sizes_and_qualities(kvs: Daemon, filled: tuple[str, list[dict[str, Any]]]) -> None:
    archive = client(kvs.url, "kinesis-video-archived-media")
    asked = {"ImageSelectorType": "PRODUCER_TIMESTAMP", "SamplingInterval": 1000, "Format": "JPEG", **span(0, 4)}
    pages = list(
        archive.get_paginator("get_images").paginate(
            StreamName="filled",
            FormatConfig={"JPEGQuality": "40"},
            WidthPixels=160,
            PaginationConfig={"PageSize": 2},
            **asked,
        )
    )
    assert [len(page["Images"]) for page in pages] == [2, 2, 1]
    content = base64.b64decode(pages[0]["Images"][0]["ImageContent"])
    assert content.startswith(b"\xff\xd8\xff")
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (90, 160, 3)
    with pytest.raises(ClientError):
        archive.get_images(StreamName="filled", **{**asked, "SamplingInterval": 100})


def test_a_reader_that_leaves_is_let_go(kvs: Daemon, filled: tuple[str, list[dict[str, Any]]]) -> None:
    import time

    get_media(kvs.url, "filled", {"StartSelectorType": "EARLIEST"}, 1)
    end = time.monotonic() + 20
    while 'streamproc_kinesis_sessions{kind="get"} 0.0' not in kvs.get("/metrics"):
        assert time.monotonic() < end
        time.sleep(0.2)

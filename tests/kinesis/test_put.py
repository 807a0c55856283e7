"""PutMedia, by a sender that signs as botocore does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamproc.logic import fragment_numbers as numbers
from tests.daemon import Daemon, wait_for
from tests.kinesis.node import client, get_media, node
from tests.kinesis.sender import Sender, put
from tests.matroska import Clip, block, cluster, head, tags, track

START = 1_700_000_000.25
END = tags(AWS_KINESISVIDEO_END_OF_FRAGMENT="")
ALL = {"StartSelectorType": "EARLIEST"}


def fragments(kvs: Daemon, stream: str) -> list[dict]:  # type: ignore[type-arg]
    archive = client(kvs.url, "kinesis-video-archived-media")
    pages = archive.get_paginator("list_fragments").paginate(StreamName=stream)
    return [item for page in pages for item in page["Fragments"]]


@pytest.mark.parametrize("absolute", [False, True])
def test_every_frame_is_read_back_byte_for_byte_with_its_numbers_and_times(
    kvs: Daemon, stream: Callable[[], str], clip: Clip, absolute: bool
) -> None:
    name, begin = stream(), round(START * 1000) if absolute else 0
    clusters = clip.clusters(begin)
    before = time.time()
    sender = put(kvs.url, name, clip.header() + b"".join(clusters), absolute=absolute, start=START)
    chunks = get_media(kvs.url, name, ALL, len(clusters))
    assert [part.data for chunk in chunks for part in chunk.clusters] == clusters
    persisted = sender.of("PERSISTED")
    assert [chunk.number for chunk in chunks] == [ack["FragmentNumber"] for ack in persisted]
    assert [ack["FragmentTimecode"] for ack in persisted] == [begin + 1000 * n for n in range(6)]
    for n, chunk in enumerate(chunks):
        assert chunk.tags["AWS_KINESISVIDEO_PRODUCER_TIMESTAMP"] == f"{START + n:.3f}"
        server = float(chunk.tags["AWS_KINESISVIDEO_SERVER_TIMESTAMP"])
        assert before - 1 < server < time.time() + 1
        assert numbers.server_ms(chunk.number) == round(server * 1000)
        assert chunk.tags["AWS_KINESISVIDEO_CONTINUATION_TOKEN"] == chunk.number
        assert chunk.header.data.startswith(clip.header())
    listed = fragments(kvs, name)
    assert [item["FragmentNumber"] for item in listed] == [chunk.number for chunk in chunks]
    assert [item["FragmentLengthInMilliseconds"] for item in listed] == [1000] * 6
    assert [item["ProducerTimestamp"].timestamp() for item in listed] == [START + n for n in range(6)]


def test_acknowledgements_come_one_a_write_in_order_and_all_of_them(
    kvs: Daemon, stream: Callable[[], str], clip: Clip
) -> None:
    sender = put(kvs.url, stream(), clip.header() + b"".join(clip.clusters()))
    assert all(segment.count(b"\n") == 1 and segment.endswith(b"}\n") for segment in sender.segments)
    kinds = [ack["EventType"] for ack in sender.acks]
    assert [kinds.count(kind) for kind in ("BUFFERING", "RECEIVED", "PERSISTED")] == [6, 6, 6]
    for n in range(6):
        own = [ack["EventType"] for ack in sender.acks if ack["FragmentTimecode"] == 1000 * n]
        assert own == ["BUFFERING", "RECEIVED", "PERSISTED"]


def test_the_answer_comes_before_any_byte_of_the_body(kvs: Daemon, stream: Callable[[], str]) -> None:
    sender = Sender(kvs.url, stream())
    assert sender.status == 200
    sender.close()


def test_a_last_fragment_is_acknowledged_at_its_mark_while_the_body_stays_open(
    kvs: Daemon, stream: Callable[[], str], clip: Clip
) -> None:
    sender = Sender(kvs.url, stream())
    sender.send(clip.header() + clip.clusters()[0] + END)
    assert sender.until("PERSISTED")
    sender.close()


def test_a_cluster_of_known_size_is_acknowledged_while_the_body_stays_open(
    kvs: Daemon, stream: Callable[[], str], clip: Clip
) -> None:
    """Nothing says that no tags follow, but a pause does."""
    sender = Sender(kvs.url, stream())
    sender.send(clip.header() + clip.clusters(unknown=False)[0])
    assert sender.until("PERSISTED")
    sender.close()


def test_nobody_is_told_who_does_not_want_to_be(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    name = stream()
    sender = put(
        kvs.url, name, clip.header() + clip.clusters()[0], headers={"x-amzn-fragment-acknowledgment-required": "0"}
    )
    assert sender.acks == [] and len(fragments(kvs, name)) == 1


def test_small_clusters_are_joined_and_each_is_acknowledged(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    small = [cluster(time, block(0, data, key=key)) for time, key, data in clip.packets[:60]]
    name = stream()
    sender = put(kvs.url, name, clip.header() + b"".join(small))
    assert len(sender.of("PERSISTED")) == 60
    assert len({ack["FragmentNumber"] for ack in sender.of("PERSISTED")}) == len(fragments(kvs, name)) == 3
    chunks = get_media(kvs.url, name, ALL, 3)
    assert [part.data for chunk in chunks for part in chunk.clusters] == small


def test_two_tracks_and_metadata_come_back(kvs: Daemon, stream: Callable[[], str]) -> None:
    name = stream()
    parts = [
        cluster(n * 1000, block(0, b"sound", number=2), block(10, b"picture", key=True), unknown=True) for n in (0, 1)
    ]
    header = head(track(1), track(2, kind=2, codec="A_AAC"))
    put(kvs.url, name, header + parts[0] + tags(color="red") + tags(size="7") + parts[1] + END)
    first, second = get_media(kvs.url, name, ALL, 2)
    assert first.clusters[0].data == parts[0] and second.clusters[0].data == parts[1]
    assert first.tags["color"] == "red" and first.tags["size"] == "7"
    assert "AWS_KINESISVIDEO_END_OF_FRAGMENT" not in second.tags


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"this is no Matroska at all", (4006, "INVALID_MKV_DATA")),
        (head() + cluster(5, block(0, b"x", key=True)) + cluster(4, block(0, b"x", key=True)), (4004, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS")),
        (head() + b"\x1f\x43\xb6\x75\x01\x00\x00\x00\xff\xff\xff\xff", (4001, "MAX_FRAGMENT_SIZE_REACHED")),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_and_the_session_closed(
    kvs: Daemon, stream: Callable[[], str], body: bytes, error: tuple[int, str]
) -> None:
    sender = Sender(kvs.url, stream())
    sender.send(body)
    assert sender.closed.wait(10)
    told = sender.of("ERROR")[0]
    assert (told["ErrorId"], told["ErrorCode"]) == error


def test_what_was_whole_before_an_error_is_kept(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    name = stream()
    sender = Sender(kvs.url, name)
    sender.send(clip.header() + b"".join(clip.clusters()[:3]) + b"\0\0\0garbage")
    assert sender.closed.wait(10) and sender.of("ERROR")
    assert len(fragments(kvs, name)) == len(sender.of("PERSISTED")) >= 2


def test_a_second_session_takes_over(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    """A camera that lost its link must get in while its dead connection lingers."""
    name, clusters = stream(), clip.clusters()
    first = Sender(kvs.url, name, start=START)
    first.send(clip.header() + clusters[0] + clusters[1][:200])
    first.until("RECEIVED")
    second = Sender(kvs.url, name, start=START)
    second.send(clip.header() + b"".join(clusters[1:]))
    second.finish()
    assert first.closed.wait(10)
    assert len(second.of("PERSISTED")) == 5
    chunks = get_media(kvs.url, name, ALL, 6)
    assert [part.data for chunk in chunks for part in chunk.clusters] == clusters


def test_two_producers_do_not_end_each_other_for_ever(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    """Both connect again by themselves. After a few turns the one that is there stays, and the other gets in when it has gone."""
    name, first = stream(), clip.header() + clip.clusters()[0]
    turns: list[Sender] = []
    try:
        while not turns or turns[-1].status == 200:
            assert len(turns) < 10, "they go on"
            turns.append(Sender(kvs.url, name))
            if turns[-1].status == 200:
                turns[-1].send(first)
                turns[-1].until("BUFFERING")
        *ended, staying, refused = turns
        assert len(ended) == 3 and all(sender.closed.wait(10) for sender in ended)
        assert refused.headers["x-amzn-errortype"] == "ConnectionLimitExceededException"
        assert "Another producer" in json.loads(refused.body)["Message"]
        assert 'streamproc_kinesis_takeovers_total{outcome="refused"} 1.0' in kvs.get("/metrics")
        staying.send(END)
        assert staying.until("PERSISTED")
        staying.finish()
        put(kvs.url, name, first)
    finally:
        for sender in turns:
            sender.close()
    said = [line for line in kvs.log.read_text().splitlines() if f'"{name}"' in line and "producer_refused" in line]
    assert len(said) == 1 and '"refused": "127.0.0.1:' in said[0]


def test_after_a_cut_a_fragment_that_is_sent_again_is_there_once(
    kvs: Daemon, stream: Callable[[], str], clip: Clip
) -> None:
    """The producer SDK sends what was not acknowledged, with a new start time where timecodes are relative."""
    name, clusters = stream(), clip.clusters()
    first = Sender(kvs.url, name, start=START)
    first.send(clip.header() + b"".join(clusters[:3]) + clusters[3][:500])
    first.until("PERSISTED", 2)
    first.cut()
    wait_for(lambda: len(fragments(kvs, name)) >= 2, what="what was whole")
    second = put(kvs.url, name, clip.header() + b"".join(clusters[1:]), start=START + 3.4)
    assert len(second.of("PERSISTED")) == 5
    chunks = get_media(kvs.url, name, ALL, 6)
    assert [part.data for chunk in chunks for part in chunk.clusters] == clusters
    assert {ack["FragmentNumber"] for ack in second.of("PERSISTED")} <= {chunk.number for chunk in chunks}


def test_the_same_file_again_after_a_good_end_is_new_video(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    name = stream()
    for start in (START, START + 60):
        put(kvs.url, name, clip.header() + b"".join(clip.clusters()), start=start)
    assert len(fragments(kvs, name)) == 12


def test_numbers_grow_as_text_over_sessions(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    name = stream()
    for start in (START, START + 60, START - 100):
        put(kvs.url, name, clip.header() + b"".join(clip.clusters()[:2]), start=start)
    found = [item["FragmentNumber"] for item in fragments(kvs, name)]
    assert found == sorted(found) and len(set(found)) == 6 and {len(number) for number in found} == {47}


def test_a_killed_daemon_has_every_fragment_that_it_told_and_none_twice(tmp_path: Path, clip: Clip) -> None:
    daemon = node(tmp_path).start()
    try:
        client(daemon.url).create_stream(StreamName="porch")
        clusters = clip.clusters()
        sender = Sender(daemon.url, "porch", start=START)
        sender.send(clip.header() + b"".join(clusters[:4]) + clusters[4][:700])
        sender.until("PERSISTED", 2)
        daemon.kill()
        told = {ack["FragmentNumber"] for ack in sender.of("PERSISTED")}
        done = len(told)
        daemon.start()
        assert told <= {item["FragmentNumber"] for item in fragments(daemon, "porch")}
        # As the producer SDK does: from the first fragment that was not acknowledged.
        put(daemon.url, "porch", clip.header() + b"".join(clusters[done:]), start=START + 1)
        chunks = get_media(daemon.url, "porch", ALL, 6)
        assert [part.data for chunk in chunks for part in chunk.clusters] == clusters
        assert len(fragments(daemon, "porch")) == 6
    finally:
        daemon.close()


def test_a_store_that_is_away_holds_the_producer_back_and_loses_nothing(tmp_path: Path, clip: Clip) -> None:
    daemon = node(tmp_path).start()
    try:
        client(daemon.url).create_stream(StreamName="porch")
        folder = daemon.data / "kinesis-video"
        folder.rmdir()
        folder.write_text("in the way")
        sender = Sender(daemon.url, "porch", start=START)
        sender.send(clip.header() + b"".join(clip.clusters()))
        sender.until("RECEIVED")
        time.sleep(2)
        assert sender.of("PERSISTED") == []
        folder.unlink()
        folder.mkdir()
        sender.finish(60)
        assert len(sender.of("PERSISTED")) == 6
        assert len(fragments(daemon, "porch")) == 6
        assert "fragments_wait" in daemon.log.read_text()
    finally:
        daemon.close()


@pytest.mark.kafka
@pytest.mark.slow
def test_a_broker_that_is_away_during_putmedia(own_kafka: object, tmp_path: Path, clip: Clip) -> None:
    store = {"type": "kafka", "bootstrap_servers": own_kafka.bootstrap, "topic": "video"}  # type: ignore[attr-defined]
    daemon = node(tmp_path, {"store": store}).start()
    try:
        client(daemon.url).create_stream(StreamName="porch")
        sender = Sender(daemon.url, "porch", start=START)
        clusters = clip.clusters()
        sender.send(clip.header() + b"".join(clusters[:3]))
        sender.until("PERSISTED", 2)
        own_kafka.stop(kill=True)  # type: ignore[attr-defined]
        sender.send(b"".join(clusters[3:]))
        time.sleep(8)
        assert len(sender.of("PERSISTED")) == 2
        own_kafka.start()  # type: ignore[attr-defined]
        sender.finish(90)
        chunks = get_media(daemon.url, "porch", ALL, 6)
        assert [part.data for chunk in chunks for part in chunk.clusters] == clusters
        assert len(fragments(daemon, "porch")) == 6
    finally:
        daemon.close()


def test_times_that_are_no_times_are_refused(kvs: Daemon, stream: Callable[[], str]) -> None:
    sender = Sender(kvs.url, stream(), headers={"x-amzn-producer-start-timestamp": "yesterday"})
    assert sender.status == 400 and sender.headers["x-amzn-errortype"] == "InvalidArgumentException"
    assert "x-amzn-producer-start-timestamp" in json.loads(sender.body)["Message"]


def test_what_another_stream_answered_may_be_sent_here(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    """Chunks of GetMedia, each a file of its own with timecodes from 0 and the service's tags: every one is a fragment."""
    groups = [clip.packets[at : at + 25] for at in range(0, 150, 25)]
    clusters = [cluster(0, *(block(time - part[0][0], data, key=key) for time, key, data in part)) for part in groups]
    chunks = [
        clip.header()
        + tags(AWS_KINESISVIDEO_FRAGMENT_NUMBER=str(n))
        + part
        + tags(AWS_KINESISVIDEO_CONTINUATION_TOKEN="1")
        for n, part in enumerate(clusters)
    ]
    name = stream()
    sender = put(kvs.url, name, b"".join(chunks), start=START)
    assert [ack["FragmentTimecode"] for ack in sender.of("PERSISTED")] == [0] * 6
    kept = get_media(kvs.url, name, ALL, 6)
    assert [part.data for chunk in kept for part in chunk.clusters] == clusters

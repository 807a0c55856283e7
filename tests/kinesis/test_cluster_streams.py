"""Nodes of a cluster have the same streams and fragments: what is sent to one is read from any other, also when the first is dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Node, Nodes
from tests.daemon import wait_for
from tests.kinesis.node import client, get_media
from tests.kinesis.sender import Sender, put
from tests.matroska import Clip

pytestmark = [pytest.mark.models, pytest.mark.kafka]

START = 1_700_000_000.0
ALL = {"StartSelectorType": "EARLIEST"}
VIDEO = "kinesis_video: {}\n"


@pytest.fixture
def nodes(kafka: Any, tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(tmp_path, kafka.bootstrap)
    yield made
    made.close()


def fragments(node: Node, stream: str) -> list[str]:
    return [each["number"] for each in node.get(f"/api/streams/{stream}/fragments")]


def streams(node: Node) -> dict[str, str]:
    """Version by name."""
    found = client(node.url).list_streams()["StreamInfoList"]
    return {each["StreamName"]: each["Version"] for each in found}


def test_any_node_serves_any_stream(nodes: Nodes, clip: Clip) -> None:
    a, b = (nodes.add(name, more=VIDEO) for name in ("a", "b"))
    for node in (a, b):
        node.launch()
    for node in (a, b):
        wait_for(node.ready, what="readiness")
    clusters = clip.clusters()
    client(a.url).create_stream(StreamName="porch", Tags={"side": "front"})
    client(a.url).create_stream(StreamName="gone")
    assert client(b.url).list_tags_for_stream(StreamName="porch")["Tags"] == {"side": "front"}

    sender = Sender(a.url, "porch", start=START)
    sender.send(clip.header() + b"".join(clusters[:3]))
    sender.until("PERSISTED", 2)
    chunks = get_media(b.url, "porch", ALL, 2)  # while the producer goes on
    assert [part.data for chunk in chunks for part in chunk.clusters] == clusters[:2]
    a.kill()

    again = put(b.url, "porch", clip.header() + b"".join(clusters[1:]), start=START)
    assert again.of("PERSISTED")
    chunks = get_media(b.url, "porch", ALL, 6)
    assert [part.data for chunk in chunks for part in chunk.clusters] == clusters, "what was sent again is there once"
    numbers = fragments(b, "porch")
    assert numbers == sorted(numbers)
    client(b.url).delete_stream(StreamARN=client(b.url).describe_stream(StreamName="gone")["StreamInfo"]["StreamARN"])

    a.start()
    wait_for(
        lambda: streams(a) == streams(b) == {"porch": streams(b)["porch"]},
        60,
        "that the node which was away has the same",
    )
    wait_for(lambda: fragments(a, "porch") == numbers, 60, "all fragments")
    assert len(get_media(a.url, "porch", ALL, 6)) == 6
    arn = client(a.url).describe_stream(StreamName="porch")["StreamInfo"]["StreamARN"]
    client(a.url).delete_stream(StreamARN=arn)
    wait_for(lambda: streams(b) == {}, 30, "that the other node forgets it")
    client(b.url).create_stream(StreamName="porch")
    wait_for(lambda: "porch" in streams(a), 30, "the new one")
    assert fragments(a, "porch") == fragments(b, "porch") == [], "of another stream of this name"


def test_of_two_producers_at_two_nodes_the_newest_counts(nodes: Nodes, clip: Clip) -> None:
    a, b = (nodes.add(name, more=VIDEO) for name in ("a", "b"))
    for node in (a, b):
        node.launch()
    for node in (a, b):
        wait_for(node.ready, what="readiness")
    clusters = clip.clusters()
    client(a.url).create_stream(StreamName="porch")
    wait_for(lambda: "porch" in streams(b), 30, "the stream at the other node")
    first = Sender(a.url, "porch")
    first.send(clip.header() + b"".join(clusters[:2]))
    first.until("PERSISTED", 1)
    second = Sender(b.url, "porch")
    second.send(clip.header() + b"".join(clusters[2:4]))
    second.until("PERSISTED", 1)
    assert first.closed.wait(30), "the one before is ended"
    second.send(b"".join(clusters[4:]))
    second.until("PERSISTED", 2)
    assert not second.closed.is_set()

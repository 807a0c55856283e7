"""Nodes of two versions side by side: this checkout's, and one that keeps its state in a form that this one does not know."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.context import ConnectorContext
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.slot_log import read_slot
from streamproc.logic.slots import slot_of
from tests.builders.next_version import next_version
from tests.cluster import ENDLESS, SLOTS, Node, Nodes
from tests.daemon import run_cli, wait_for

pytestmark = [pytest.mark.models, pytest.mark.kafka, pytest.mark.timeout(600)]
CAMERA = "film"


@pytest.fixture
def nodes(kafka: Any, tmp_path: Path, scene: Path) -> Iterator[Nodes]:
    made = Nodes(tmp_path / "nodes", kafka.bootstrap)
    made.put(CAMERA, f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\n{ENDLESS}")
    yield made
    made.close()


@pytest.fixture
def older(nodes: Nodes) -> Node:
    return nodes.add("older")


@pytest.fixture
def newer(nodes: Nodes, tmp_path: Path) -> Node:
    return nodes.add("newer", environ=next_version(tmp_path / "next"))


def version_in_the_log(nodes: Nodes) -> int:
    topic = KafkaConnection(topic=f"{nodes.name}.lanes", bootstrap_servers=nodes.bootstrap)
    records = asyncio.run(read_slot(topic, ConnectorContext("test"), slot_of(CAMERA, SLOTS)))
    found = [record.value for record in records if (record.key or b"").decode() == CAMERA]
    return int(json.loads(found[-1] or b"")["version"])


def announced(nodes: Nodes) -> Counter[tuple[str, str]]:
    found = [event for event in nodes.events() if event["type"] == "label_detected"]
    return Counter((event["session"], event["class"]) for event in found)


def standing(node: Node) -> tuple[str | None, str]:
    """The open session, and what keeps the camera from running."""
    found = node.get(f"/api/processors/{CAMERA}")
    return (found.get("session") or {}).get("id"), found.get("message") or ""


def start(node: Node) -> None:
    node.launch()
    wait_for(node.ready, 180, f"readiness of {node.name}")


def drain(node: Node) -> None:
    done = run_cli("cluster", "drain", "--url", node.url)
    assert done.returncode == 0, done.stderr
    assert node.terminate() == 0


def until_runs(node: Node) -> None:
    wait_for(lambda: node.runs() == {CAMERA}, 90, f"{node.name} with the camera")


def test_a_camera_moves_to_the_later_version_and_back(nodes: Nodes, older: Node, newer: Node) -> None:
    start(older)
    until_runs(older)
    wait_for(lambda: len(announced(nodes)) == 2, 90, "both classes")
    session, _ = standing(older)
    start(newer)
    drain(older)
    until_runs(newer)
    assert standing(newer)[0] == session
    wait_for(lambda: version_in_the_log(nodes) == 2, 60, "its own form, when no older node is left")
    start(older)
    wait_for(lambda: version_in_the_log(nodes) == 1, 60, "the form that the older one reads")
    drain(newer)
    until_runs(older)
    assert standing(older)[0] == session
    assert {each["reason"] for each in nodes.events() if each["type"] == "source_gap"} <= {"takeover"}
    assert not [each for each in nodes.events() if each["type"] == "session_complete"]
    assert set(announced(nodes).values()) == {1} and len(announced(nodes)) == 2


def test_what_an_older_node_cannot_read_waits_for_one_that_can(nodes: Nodes, older: Node, newer: Node) -> None:
    start(newer)
    until_runs(newer)
    wait_for(lambda: len(announced(nodes)) == 2, 90, "both classes")
    wait_for(lambda: version_in_the_log(nodes) == 2, 60, "its own form")
    session, _ = standing(newer)
    newer.kill()
    start(older)
    words = wait_for(lambda: "cannot take it over" in standing(older)[1] and standing(older)[1], 90, "a word about it")
    assert "has version 2, this streamproc reads up to 1; update this node" in words
    assert older.runs() == set() and not older.told()
    older.terminate()
    start(newer)
    until_runs(newer)
    assert standing(newer)[0] == session
    assert set(announced(nodes).values()) == {1} and len(announced(nodes)) == 2

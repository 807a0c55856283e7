"""Nodes that share processors over a real broker: killed, stopped for a while, drained."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import ENDLESS, Node, Nodes
from tests.daemon import run_cli, wait_for

pytestmark = [pytest.mark.models, pytest.mark.kafka]


@pytest.fixture
def nodes(kafka: Any, tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(tmp_path, kafka.bootstrap)
    yield made
    made.close()


def announced(events: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """By session and class; an event that came twice under one id is one."""
    unique = {event["id"]: event for event in events if event["type"] == "label_detected"}
    return Counter((event["session"], event["class"]) for event in unique.values())


def camera(rtsp: Any, scene: Path) -> str:
    return f"source: {{type: rtsp, url: '{rtsp({'/cam': scene}).url('/cam')}'}}\n{ENDLESS}"


def session_of(node: Node, name: str) -> str:
    return str(node.get(f"/api/processors/{name}")["session"]["id"])


def test_a_killed_node_s_session_goes_on(nodes: Nodes, scene: Path, rtsp: Any) -> None:
    nodes.put("camera", camera(rtsp, scene))
    for name in ("a", "b"):
        nodes.add(name).start()
    first = nodes.runner("camera")
    wait_for(lambda: len(announced(nodes.events())) == 2, 90, "both classes")
    session = session_of(first, "camera")
    first.kill()
    second = nodes.runner("camera", but=first)
    assert session_of(second, "camera") == session
    gap = wait_for(lambda: [each for each in second.told() if each["type"] == "source_gap"], 60, "the gap")
    assert gap[0]["reason"] == "takeover"
    assert set(announced(nodes.events()).values()) == {1}


def test_each_processor_runs_once_and_a_drain_hands_over(nodes: Nodes, scene: Path) -> None:
    names = {f"film{number}" for number in range(5)}
    for name in names:
        nodes.put(name, f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\n{ENDLESS}")
    a, b = (nodes.add(name).start() for name in ("a", "b"))
    wait_for(lambda: a.runs() | b.runs() == names and a.runs() and b.runs(), 90, "all of them, on both nodes")
    assert not a.runs() & b.runs()
    theirs = b.runs()
    wait_for(lambda: len(announced(nodes.events())) == 2 * len(names), 90, "both classes of all films")
    sessions = {name: session_of(b, name) for name in names}  # of a's it asks a

    done = run_cli("cluster", "drain", "--url", a.url)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: b.runs() == names, 60, "the other node with all of them")
    assert not a.runs()
    assert {name: session_of(b, name) for name in names} == sessions
    status = json.loads(run_cli("cluster", "status", "--json", "--url", b.url).stdout)
    assert (status["slots"], status["moving"]) == (16, 0)
    assert {node["id"]: set(node["processors"]) for node in status["nodes"]} == {"a": set(), "b": names}
    assert a.terminate() == 0
    assert set(announced(nodes.events()).values()) == {1}
    assert not [event for event in nodes.events() if event["type"] == "session_complete"]
    assert not [event for event in b.told() if event["type"] == "source_gap" and event["processor"] in theirs]


def test_a_node_that_was_stopped_for_a_while_tells_nothing(nodes: Nodes, scene: Path, rtsp: Any) -> None:
    nodes.put("camera", camera(rtsp, scene))
    for name in ("a", "b"):
        nodes.add(name).start()
    first = nodes.runner("camera")
    wait_for(lambda: len(announced(nodes.events())) == 2, 90, "both classes")
    session = session_of(first, "camera")
    first.signal(signal.SIGSTOP)
    before = first.told()
    second = next(node for node in nodes.all if node is not first)
    wait_for(lambda: "camera" in second.runs(), 60, "the other node with the camera")
    wait_for(lambda: [each for each in second.told() if each["type"] == "source_gap"], 60, "the gap")
    first.signal(signal.SIGCONT)
    wait_for(lambda: "camera" not in first.runs(), 10, "that it lets go")
    assert first.told() == before
    assert session_of(second, "camera") == session == session_of(first, "camera")
    assert set(announced(nodes.events()).values()) == {1}


def test_while_the_broker_is_away_nothing_is_told_and_all_of_it_afterwards(
    own_kafka: Any, tmp_path: Path, scene: Path
) -> None:
    nodes = Nodes(tmp_path, own_kafka.bootstrap)
    try:
        film = f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\n"
        nodes.put("film", f"{film}session: {{mode: continuous, gone_after: 2s}}\n{ENDLESS.splitlines()[1]}\n")
        a = nodes.add("a").start()
        wait_for(lambda: announced(a.told()), 90, "an announcement")
        own_kafka.stop(kill=True)
        wait_for(lambda: a.logged("storage_unavailable"), 60, "that it notices")
        told = a.told()
        decided = waiting(a)
        wait_for(lambda: waiting(a) >= decided + 3, 60, "more decisions")
        assert a.told() == told
        own_kafka.start()
        wait_for(lambda: waiting(a) == 0, 90, "that nothing waits")
        wait_for(lambda: len(a.told()) >= len(told) + decided + 3, 60, "what waited")
        by_session: dict[str, list[int]] = {}
        for event in a.told():
            by_session.setdefault(event["session"], []).append(int(event["id"].rpartition("-")[2]))
        assert all(numbers == sorted(set(numbers)) for numbers in by_session.values())
    finally:
        nodes.close()


def waiting(node: Node) -> int:
    """Events that were decided and that the cluster does not have yet."""
    lines = [line for line in node.get("/metrics").splitlines() if line.startswith("streamproc_storage_waiting")]
    return int(float(lines[0].split()[-1]))

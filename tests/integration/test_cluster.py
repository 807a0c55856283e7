"""Nodes that share processors over a real broker: killed, stopped for a while, drained."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from connectors.context import ConnectorContext
from streamproc.cluster.slot_store import SlotStore
from streamproc.config.cluster import ClusterSettings
from streamproc.logic.slots import slot_of
from streamproc.store.takeover import LaneRecord
from tests.cluster import ENDLESS, SLOTS, Node, Nodes
from tests.console import complaints, press
from tests.daemon import run_cli, wait_for
from tests.videos import write

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


def test_killed_stopped_and_drained_nodes_are_taken_over_from(nodes: Nodes, scene: Path, rtsp: Any) -> None:
    """Three nodes, of which one is left in the end."""
    nodes.put("camera", camera(rtsp, scene) + "record: {keep: 1h}\n")
    for number in range(2):
        nodes.put(f"film{number}", f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\n{ENDLESS}")
    names = {"camera", *(f"film{number}" for number in range(2))}
    a, b, c = nodes.start("a", "b", "c")
    wait_for(lambda: nodes.running() == names, 90, "all of them")
    assert all(len(nodes.runners(name)) == 1 for name in names)
    wait_for(lambda: len(announced(nodes.events())) == 2 * len(names), 90, "both classes of all of them")
    sessions = {name: session_of(a, name) for name in names}  # of the others' it asks them
    so_far = {event["id"] for event in nodes.events()}
    for node in (a, b, c):
        wait_for(lambda node=node: so_far <= set(shown(node)), 30, "what all of them told, in the history of each")

    killed = nodes.runner("camera")
    for path in ("/whep/camera", "/whip/camera"):
        asked = next(node for node in (a, b, c) if node is not killed)
        assert location(asked, path) == killed.url + path
    theirs = killed.runs()
    left = [node for node in (a, b, c) if node is not killed]
    kept = wait_for(lambda: recorded(left[0]), 30, "what the other node records of it")
    killed.kill()
    nodes.runner("camera")
    wait_for(lambda: taken_over(nodes) == {"camera"}, 60, "the gap")
    wait_for(lambda: nodes.running() == names, 60, "all of them on two nodes")
    assert {name: session_of(left[0], name) for name in names} == sessions
    assert taken_over(nodes) <= theirs, "nobody else was disturbed"
    for node in left:
        wait_for(lambda node=node: set(kept) < set(recorded(node)), 30, "one recording over both nodes")

    stopped = nodes.runner("camera")
    theirs, last = stopped.runs(), next(node for node in left if node is not stopped)
    stopped.signal(signal.SIGSTOP)
    wait_for(lambda: last.runs() == names, 60, "the last node with all of them")
    stopped.signal(signal.SIGCONT)
    wait_for(lambda: not stopped.runs() & last.runs() and nodes.running() == names, 30, "that each runs once again")

    done = run_cli("cluster", "drain", "--url", stopped.url)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: last.runs() == names, 60, "the last node with all of them")
    assert not stopped.runs()
    status = json.loads(run_cli("cluster", "status", "--json", "--url", last.url).stdout)
    assert (status["slots"], status["moving"]) == (16, 0)
    runs = {node["id"]: set(node["processors"]) for node in status["nodes"] if node["alive"]}
    assert runs == {stopped.name: set(), last.name: names}
    assert stopped.terminate() == 0
    assert {name: session_of(last, name) for name in names} == sessions
    assert set(announced(nodes.events()).values()) == {1}
    assert shown(last).keys() >= {event["id"] for event in nodes.events()}
    assert all(each["frame"] for each in shown(last).values() if each["type"] == "label_detected"), (
        "with their pictures"
    )
    assert not [event for event in nodes.events() if event["type"] == "session_complete"]


@pytest.mark.browser
async def test_the_console_shows_the_nodes_and_takes_one_out(nodes: Nodes, browser: Any) -> None:
    a, b = await asyncio.to_thread(nodes.start, "a", "b")
    rows = "[...document.querySelectorAll('[data-test=node-row]')]"
    texts = f"Object.fromEntries({rows}.map((row) => [row.dataset.id, row.querySelector('.chip').textContent]))"
    page = await browser.page()
    await page.look_like(390, 844, phone=True)
    await page.open(f"{a.url}/console/")
    await press(page, "Nodes")
    await page.until(f"Object.values({texts}).join() === '8 slots,8 slots'", 60)
    assert a.url in await page.run("document.querySelector('main').textContent")
    assert await page.run("document.documentElement.scrollWidth") <= 390
    second = f"{rows}.find((row) => row.dataset.id === 'b')"
    await page.run(f"{second}.querySelector('button').click()")
    await press(page, "Hand everything over")
    await page.until(f"{texts}.b === '0 slots' && {texts}.a === '16 slots'", 60)
    await asyncio.to_thread(b.kill)
    await page.until(f"{texts}.b === 'does not answer'", 60)
    assert not complaints(page)


def location(node: Node, path: str) -> str | None:
    """Where a POST is sent on to."""
    connection = HTTPConnection("127.0.0.1", node.port, timeout=10)
    connection.request("POST", path, "v=0", {"Content-Type": "application/sdp"})
    answer = connection.getresponse()
    assert answer.status == 307
    return answer.headers["Location"]


def shown(node: Node) -> dict[str, dict[str, Any]]:
    """The history of this very node, by id."""
    return {event["id"]: event for event in node.get("/api/events?limit=200")["events"]}


def recorded(node: Node) -> list[str]:
    """Numbers of the fragments of the camera's recording, as this node has them."""
    names = [each["name"] for each in node.get("/api/streams")]
    return [each["number"] for each in node.get("/api/streams/camera/fragments")] if "camera" in names else []


def taken_over(nodes: Nodes) -> set[str]:
    """Names of the processors with a gap for that reason."""
    return {event["processor"] for event in nodes.events() if event.get("reason") == "takeover"}


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


def test_what_callers_make_on_one_node_runs_on_one_and_all_know_it(nodes: Nodes, visitor: Path) -> None:
    """Processors and faces, by the control API, boto3 and the command line, each request at a node that does not run it; over the death of the one that
    does, while which more happens."""
    a, b = nodes.start("a", "b")
    a.rekognition().create_collection(CollectionId="family")
    a.rekognition().index_faces(CollectionId="family", Image={"Bytes": portrait()}, ExternalImageId="eileen")
    wait_for(lambda: collections(b) == {"family": ["eileen"]}, 30, "that the other node has the face")
    config = {
        "source": {"type": "file", "path": str(visitor), "realtime": True, "loop": True},
        "session": {"mode": "continuous", "gone_after": 1},
        "faces": {"collection": "family"},
        "outputs": [{"type": "file", "directory": "out"}],
        "state": "running",
    }
    wait_for(lambda: all(shared_out(node) for node in (a, b)), 60, "that each has its part")
    a.create("door", config)
    wait_for(lambda: recognised(nodes.events()), 60, "an announcement")
    runner = nodes.runner("door")
    other = b if runner is a else a

    rekognition = other.rekognition()
    assert rekognition.describe_stream_processor(Name="door")["Status"] == "RUNNING"
    rekognition.stop_stream_processor(Name="door")
    assert not nodes.runners("door")
    wait_for(lambda: listed(rekognition) == {"door": "STOPPED"}, 30, "that the other node says so")
    rekognition.start_stream_processor(Name="door")
    assert lanes(nodes, "door")["door"].checkpoint is not None, "its session is in the log when Start is answered"
    wait_for(lambda: listed(rekognition) == {"door": "RUNNING"}, 30, "that the other node says so")
    assert nodes.runner("door") is runner
    made = run_cli("faces", "create", "guests", "--data-dir", other.data, "--config-dir", other.config)
    assert made.returncode == 0, made.stderr
    wait_for(lambda: "guests" in collections(runner), 30, "what the command line made on the other node")

    assert set(lanes(nodes, "door")) == {"door"}
    runner.kill()
    nodes.runner("door")
    assert other.runs() == {"door"}
    wait_for(lambda: recognised(other.told()) == {"eileen"}, 60, "that who goes on knows the same people")
    rekognition.stop_stream_processor(Name="door")
    rekognition.delete_stream_processor(Name="door")
    assert "door" not in lanes(nodes, "door"), "another one of this name would go on with what it left"
    rekognition.delete_collection(CollectionId="guests")
    runner.start()
    wait_for(lambda: "door" not in runner.states(), 60, "that a node which was away forgets it")
    wait_for(lambda: collections(runner) == {"family": ["eileen"]}, 30, "that it forgets the collection")
    assert other.states() == {}

    nodes.add("stranger", face_key=bytes(range(32))).start()
    wait_for(lambda: "faces.key_file" in str(faces_of(other, "stranger")), 30, "that its key is another")
    assert faces_of(other, "a") is faces_of(other, "b") is None
    assert "faces are not shared: faces.key_file" in run_cli("cluster", "status", "--url", other.url).stdout


def lanes(nodes: Nodes, name: str) -> dict[str, LaneRecord]:
    """What the cluster's log holds of the slot of a processor."""
    settings = ClusterSettings(name=nodes.name, bootstrap_servers=nodes.bootstrap, partitions=SLOTS)
    store = SlotStore(settings, ConnectorContext("look", nodes.folder))
    return asyncio.run(store.read(slot_of(name, SLOTS))).lanes


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A room with a camera's noise; somebody is there for two of five seconds."""
    random, face = np.random.default_rng(1), cv2.resize(data.astronaut()[:, :, ::-1], (300, 300))
    pictures = []
    for number in range(50):
        picture = np.full((360, 640, 3), 120.0)
        if number < 20:
            picture[40:340, 100 + 4 * number : 400 + 4 * number] = face
        pictures.append(np.clip(picture + random.normal(0, 2, (360, 640, 1)), 0, 255).astype(np.uint8))
    path = tmp_path_factory.mktemp("visitor") / "visitor.mp4"
    write(path, pictures, rate=Fraction(10))
    return path


def portrait() -> bytes:
    return bytes(cv2.imencode(".jpg", data.astronaut()[:, :, ::-1])[1])


def recognised(events: list[dict[str, Any]]) -> set[str]:
    return {event["person"] for event in events if event["type"] == "face_matched"}


def collections(node: Node) -> dict[str, list[str]]:
    """Names of the faces of each collection, as this node has them."""
    client = node.rekognition()
    names = client.list_collections()["CollectionIds"]
    return {name: [face["ExternalImageId"] for face in client.list_faces(CollectionId=name)["Faces"]] for name in names}


def faces_of(asked: Node, name: str) -> str | None:
    """What keeps a node's faces from being shared, as another node has heard."""
    return next((node["faces"] for node in asked.get("/api/cluster")["nodes"] if node["id"] == name), None)


def shared_out(node: Node) -> bool:
    """Whether it knows of two nodes that have all slots between them."""
    status = node.get("/api/cluster")
    return status["moving"] == 0 and len([each for each in status["nodes"] if each["alive"] and each["slots"]]) == 2


def listed(rekognition: Any) -> dict[str, str]:
    found = rekognition.list_stream_processors()["StreamProcessors"]
    return {each["Name"]: each["Status"] for each in found}


def waiting(node: Node) -> int:
    """Events that were decided and that the cluster does not have yet."""
    lines = [line for line in node.get("/metrics").splitlines() if line.startswith("streamproc_storage_waiting")]
    return int(float(lines[0].split()[-1]))

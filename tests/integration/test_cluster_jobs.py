"""Stored-video jobs that nodes share over a real broker: a killed node's job goes on elsewhere, and any node answers."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from connectors.context import ConnectorContext
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.slot_log import read_slot
from streamproc.logic.slots import slot_of
from streamproc.store.database import Database
from streamproc.store.jobs import JobStore
from tests.cluster import SLOTS, Node, Nodes
from tests.daemon import run_cli, wait_for
from tests.videos import scene, write

pytestmark = [pytest.mark.kafka]
TOPIC = "arn:aws:sns:us-east-1:000000000000:done"
VIDEO = {"S3Object": {"Bucket": "films", "Name": "film.avi"}}


@dataclass
class Store:
    """Serves one file by ranges, to HTTP and S3 clients, as slowly as is said."""

    data: bytes
    delay: float = 0.0
    url: str = ""
    read: set[int] = field(default_factory=set)
    """Where parts began that were asked for."""


class _Ranges(BaseHTTPRequestHandler):
    def __init__(self, store: Store, *args: Any) -> None:
        self._store = store
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self._answer(0, len(self._store.data), 200, head=True)

    def do_GET(self) -> None:
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        start, end = int(first), min(len(self._store.data), int(last) + 1)
        if end - start > 1:
            self._store.read.add(start)
            time.sleep(self._store.delay)
        self._answer(start, end, 206)

    def _answer(self, start: int, end: int, status: int, *, head: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(self._store.data)}")
        self.send_header("ETag", '"one"')
        self.end_headers()
        if not head:
            self.wfile.write(self._store.data[start:end])

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A film of four shots, of which a request brings about a second."""
    random = np.random.default_rng(1)
    pictures = [picture for seed in range(4) for picture in scene(seed, 75)]
    noisy = [np.clip(each + random.normal(0, 8, each.shape), 0, 255).astype(np.uint8) for each in pictures]
    store = Store(write(tmp_path / "film.avi", noisy, codec="ffv1").read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, store))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    yield store
    server.shutdown()
    server.server_close()


@pytest.fixture
def nodes(kafka: Any, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    made = Nodes(tmp_path, kafka.bootstrap)
    topics = f"topics: {{'*': {{type: file, directory: '{tmp_path}/done-%s'}}}}"
    buckets = f"buckets: {{films: {{type: s3, bucket: films, endpoint_url: '{store.url}'}}}}"
    for name in ("a", "b"):
        made.add(name, more=f"bindings:\n  {topics % name}\n  {buckets}\n")
    for node in made.all:
        node.launch()
    for node in made.all:
        wait_for(node.ready, what=f"readiness of {node.name}")
    yield made
    made.close()


def start(node: Node, token: str, **more: Any) -> str:
    asked = {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"], "ClientRequestToken": token, "Video": VIDEO, **more}
    asked |= {"NotificationChannel": {"SNSTopicArn": TOPIC, "RoleArn": "arn:aws:iam::000000000000:role/none"}}
    return str(node.rekognition().start_segment_detection(**asked)["JobId"])


def found(node: Node, job: str) -> dict[str, Any]:
    """Everything that the node answers about a job, page by page."""
    whole: dict[str, Any] = {}
    token: dict[str, str] = {}
    while not whole or token:
        page = node.rekognition().get_segment_detection(JobId=job, MaxResults=2, **token)
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
        whole = whole or {**page, "Segments": []}
        whole["Segments"] += page.get("Segments", [])
    return {key: value for key, value in whole.items() if key not in ("ResponseMetadata", "NextToken", "JobId")}


def status(node: Node, job: str) -> str:
    return str(node.rekognition().get_segment_detection(JobId=job)["JobStatus"])


def runner(nodes: Nodes, job: str) -> Node:
    """The node whose database has checkpoints of the job."""

    def has(node: Node) -> bool:
        return node.answers() and JobStore(Database(node.data)).state(job) is not None

    node: Node = wait_for(lambda: next((node for node in nodes.all if has(node)), None), 60, "a node at work")
    return node


def told(folder: Path) -> list[str]:
    """Jobs whose end was told, by any node."""
    lines = [line for file in folder.glob("done-*/**/*.jsonl") for line in file.read_text().splitlines()]
    return [json.loads(line)["JobId"] for line in lines]


def test_a_killed_node_s_job_goes_on_elsewhere(nodes: Nodes, store: Store, tmp_path: Path) -> None:
    a, b = nodes.all
    calm = start(a, "calm")
    wait_for(lambda: status(b, calm) == "SUCCEEDED", 90, "the end of a job at the node that did not start it")
    assert found(a, calm) == found(b, calm)
    assert len(found(b, calm)["Segments"]) >= 4
    parts = len(store.read)
    assert start(b, "calm") == calm, "the same token at another node"
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        start(b, "calm", JobTag="other")

    store.delay = 1.0
    job = start(b, "rough")
    first = runner(nodes, job)
    other = b if first is a else a
    wait_for(lambda: progress(other, job) > 150, 30, "half of it, at the other node")
    before = progress(other, job)
    first.kill()
    store.read.clear()
    assert status(other, job) == "IN_PROGRESS"
    wait_for(lambda: JobStore(Database(other.data)).state(job) is not None, 60, "the other node at work")
    assert progress(other, job) >= before
    store.delay = 0.0
    wait_for(lambda: status(other, job) == "SUCCEEDED", 60, "the end")
    assert found(other, job) == found(other, calm)
    assert len(store.read) < parts, "it began anew"
    first.start()
    wait_for(lambda: status(first, job) == "SUCCEEDED", 30, "what happened meanwhile, at the node that was away")
    assert found(first, job) == found(other, job)
    wait_for(lambda: sorted(told(tmp_path)) == sorted([calm, job]), 30, "that each end is told, once")


def test_a_drained_node_s_job_moves_and_a_file_s_stays(nodes: Nodes, store: Store, tmp_path: Path) -> None:
    a, b = nodes.all
    film = tmp_path / "film.avi"
    local = post(a, "/api/jobs", {"video": str(film), "analyses": ["segments"]})["jobs"][0]["id"]
    wait_for(lambda: asked(b, local)["state"] == "succeeded", 90, "the end of it at the other node")
    assert asked(b, local)["node"] == "a"
    whole = get(b, f"/api/jobs/{local}/result")["Segments"]
    assert len(whole) >= 4 and whole == get(a, f"/api/jobs/{local}/result")["Segments"]

    store.delay = 1.0
    job = start(b, "moved")
    first = runner(nodes, job)
    other = b if first is a else a
    wait_for(lambda: progress(other, job) > 0, 30, "how far it is, at the other node")
    assert run_cli("cluster", "drain", "--url", first.url).returncode == 0
    wait_for(lambda: JobStore(Database(other.data)).state(job) is not None, 30, "the other node at work")
    assert JobStore(Database(first.data)).get(job).attempts <= 1
    assert post(first, f"/api/jobs/{job}/cancel", {})["state"] == "cancelled", "by the node that does not run it"
    wait_for(lambda: asked(other, job)["state"] == "cancelled", 10, "that all nodes say so")
    store.delay = 0.0
    after = start(first, "after")
    wait_for(lambda: status(first, after) == "SUCCEEDED", 60, "a job of a node that was drained, run by the other")
    assert found(first, after)["Segments"] == whole
    assert not [line for node in nodes.all for line in node.logged("jobs_wait")]


def test_a_stopped_node_s_job_is_another_s_and_what_it_wakes_with_counts_for_nothing(
    nodes: Nodes, store: Store, tmp_path: Path
) -> None:
    """It wakes while the other is at work, in the middle of a video of its own."""
    store.delay = 1.0
    job = start(nodes.all[0], "stopped")
    first = runner(nodes, job)
    other = next(node for node in nodes.all if node is not first)
    wait_for(lambda: progress(other, job) > 0, 30, "how far it is, at the other node")
    first.signal(signal.SIGSTOP)
    wait_for(lambda: JobStore(Database(other.data)).state(job) is not None, 60, "the other node at work")
    had = phases(first, job)
    first.signal(signal.SIGCONT)
    wait_for(lambda: "elsewhere" in phases(first, job)[len(had) :], 30, "that the first lets go")
    store.delay = 0.0
    for node in nodes.all:
        wait_for(lambda node=node: status(node, job) == "SUCCEEDED", 60, f"the end, at {node.name}")
    calm = start(other, "calm")
    wait_for(lambda: status(first, calm) == "SUCCEEDED", 60, "a job that nothing happens to")
    assert found(first, job) == found(other, job) == found(other, calm)
    assert len(found(other, calm)["Segments"]) >= 4
    wait_for(lambda: sorted(told(tmp_path)) == sorted([job, calm]), 30, "that each end is told, once")
    noted = wait_for(lambda: noted_end(nodes, job), 30, "the note that it was told")
    assert [each["revision"] for each in noted] == list(range(1, len(noted) + 1)), "each on top of the one before"
    assert [each["state"] for each in noted if each["ended"]] == ["succeeded"] * 2, "its end, and that it was told"


def phases(node: Node, job: str) -> list[str]:
    """Of the slot of a job, as the node logged them."""
    return [line["phase"] for line in node.logged("slot") if line["slot"] == slot_of(job, SLOTS)]


def noted_end(nodes: Nodes, job: str) -> list[dict[str, Any]]:
    """How the cluster's log says that a job stood, one after the other; empty until it says that its end was told."""
    topic = KafkaConnection(topic=f"{nodes.name}.jobs", bootstrap_servers=nodes.bootstrap)
    records = asyncio.run(read_slot(topic, ConnectorContext("look", nodes.folder), slot_of(job, SLOTS)))
    noted = [json.loads(each.value or b"{}") for each in records if each.key == f"{job} standing".encode()]
    return noted if noted and noted[-1]["told"] else []


def progress(node: Node, job: str) -> int:
    return int(asked(node, job)["frames"])


def asked(node: Node, job: str) -> dict[str, Any]:
    found: dict[str, Any] = get(node, f"/api/jobs/{job}")
    return found


def get(node: Node, path: str) -> Any:
    with urllib.request.urlopen(node.url + path, timeout=10) as answer:
        return json.load(answer)


def post(node: Node, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(node.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)

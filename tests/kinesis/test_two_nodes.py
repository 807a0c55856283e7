"""One node reads another's stream: what it tells is what replay tells of the same fragments, also over a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for
from tests.kinesis.node import ENVIRON, client, node
from tests.kinesis.sender import ACCESS_KEY, Sender, put
from tests.matroska import Clip, read_clip

pytestmark = [pytest.mark.corpus, pytest.mark.models, pytest.mark.timeout(900)]

START = 1_700_000_000.0
DOCUMENT = """
state: running
source: {type: kvs, stream: door, region: us-west-2, endpoint_url: "%s", start: earliest,
         access_key_id_env: BELL_KEY, secret_access_key_env: KVS_SECRET}
session: {mode: continuous}
labels: {classes: [PERSON, PACKAGE]}
outputs: [{type: file, directory: out}]
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Daemon]:
    daemon = node(tmp_path / "store").start()
    client(daemon.url).create_stream(StreamName="door")
    yield daemon
    daemon.close()


@pytest.fixture
def watcher(tmp_path: Path, store: Daemon) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "watcher", {**ENVIRON, "BELL_KEY": ACCESS_KEY})
    daemon.start()
    daemon.put("door", DOCUMENT % store.url)
    yield daemon
    daemon.close()


@pytest.fixture
def visit(corpus: Path) -> Clip:
    return read_clip(corpus / "video" / "xr_doorbell_delivery.mp4")


def told(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Without ids, which are those of the run."""
    chosen = [event for event in events if event["type"] == "label_detected"]
    return [(event["class"], event["time"], event["confidence"], event["box"], event["fragment"]) for event in chosen]


def replayed(store: Daemon, tmp_path: Path) -> list[tuple[Any, ...]]:
    config = tmp_path / "door.yaml"
    config.write_text(DOCUMENT % store.url)
    done = run_cli("replay", "kvs://door", "--config", config, "--data-dir", store.data, "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    return told([json.loads(line) for line in done.stdout.splitlines()])


def heard(watcher: Daemon) -> list[tuple[Any, ...]]:
    return told(read_lines(watcher.config / "out"))


def test_another_nodes_stream_is_told_as_replay_tells_it(
    store: Daemon, watcher: Daemon, visit: Clip, tmp_path: Path
) -> None:
    put(store.url, "door", visit.header() + b"".join(visit.clusters()), start=START)
    expected = replayed(store, tmp_path)
    assert expected
    wait_for(lambda: len(heard(watcher)) >= len(expected), 300, "the events")
    assert heard(watcher) == expected


def test_nothing_is_lost_or_repeated_over_kills_of_either_node(
    store: Daemon, watcher: Daemon, visit: Clip, tmp_path: Path
) -> None:
    clusters = visit.clusters()
    half = len(clusters) // 2
    first = Sender(store.url, "door", start=START)
    first.send(visit.header() + b"".join(clusters[: half + 1]))
    first.until("PERSISTED", half)
    wait_for(lambda: "frames_analysed_total" in watcher.get("/metrics"), 60, "frames")
    watcher.kill()
    store.kill()
    store.start()
    watcher.start()
    second = put(store.url, "door", visit.header() + b"".join(clusters[half:]), start=START)
    assert second.of("PERSISTED")
    expected = replayed(store, tmp_path)
    assert expected
    wait_for(lambda: len(heard(watcher)) >= len(expected), 300, "the events")
    assert heard(watcher) == expected
    ids = [event["id"] for event in read_lines(watcher.config / "out")]
    assert len(ids) == len(set(ids))
    assert [event for event in read_lines(watcher.config / "out") if event["type"] == "source_gap"] == []

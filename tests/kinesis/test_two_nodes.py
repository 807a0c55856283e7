"""One node reads another's stream: what it tells is what replay tells of the same fragments, whatever ends the sessions meanwhile."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.kinesis.catalog import fragment_of
from tests.daemon import Daemon, read_lines, run_cli, wait_for
from tests.kinesis.cutting import CuttingService
from tests.kinesis.node import ENVIRON, client, node
from tests.kinesis.sender import ACCESS_KEY, Sender, put
from tests.matroska import Clip, read_clip

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]

START = 1_700_000_000.0
DOCUMENT = """
state: running
source: {type: kvs, stream: door, region: us-west-2, endpoint_url: "%s", start: earliest,
         access_key_id_env: BELL_KEY, secret_access_key_env: KVS_SECRET}
session: {mode: continuous}
labels: {classes: [PERSON, PET], profile: small}
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
    yield daemon.start()
    daemon.close()


@pytest.fixture
def visit(scene: Path) -> Clip:
    """Somebody comes in the first half, a cat in the second; a keyframe a second."""
    return read_clip(scene)


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


def test_sessions_that_are_cut_every_second_or_two_tell_what_replay_tells(
    store: Daemon, watcher: Daemon, visit: Clip, tmp_path: Path
) -> None:
    """The service of another who ends each session; fragments, numbers and times are the node's own."""
    put(store.url, "door", visit.header() + b"".join(visit.clusters()), start=START)
    infos = [fragment_of(each) for each in store.get("/api/streams/door/fragments")]
    kept = [(info, read_fragment(store, info.number)) for info in infos]
    stub = CuttingService(kept, max(len(data) for _, data in kept) + 1500)
    try:
        watcher.put("door", DOCUMENT % stub.url)
        expected = replayed(store, tmp_path)
        assert [event[0] for event in expected] == ["PERSON", "PET"]
        wait_for(lambda: len(heard(watcher)) >= len(expected), 300, "the events")
        behind = 'streamproc_kvs_behind_seconds{processor="door"} 0.0'
        wait_for(lambda: behind in watcher.get("/metrics").splitlines(), 60, "the last fragment")
    finally:
        watcher.terminate()
        stub.close()
    assert len(stub.selectors) >= len(kept) - 1
    same_and_nothing_else(watcher, expected)


def test_nothing_is_lost_or_repeated_over_kills_of_either_node(
    store: Daemon, watcher: Daemon, visit: Clip, tmp_path: Path
) -> None:
    watcher.put("door", DOCUMENT % store.url)
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
    same_and_nothing_else(watcher, expected)


def same_and_nothing_else(watcher: Daemon, expected: list[tuple[Any, ...]]) -> None:
    assert heard(watcher) == expected
    events = read_lines(watcher.config / "out")
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids))
    assert [event for event in events if event["type"] == "source_gap"] == []


def read_fragment(store: Daemon, number: str) -> bytes:
    with urllib.request.urlopen(f"{store.url}/api/streams/door/fragments/{number}", timeout=20) as answer:
        return bytes(answer.read())

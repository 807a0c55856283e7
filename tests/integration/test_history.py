"""The history and the stream of a real daemon that is killed, restarted, upgraded and asked wrong questions."""

from __future__ import annotations

import json
import random
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streamproc.core.event import Event
from streamproc.store.database import Database
from streamproc.store.journal import Commit, Journal
from tests.builders.events import PICTURES, START, label_event, session
from tests.daemon import STREAMPROC, Daemon, run_cli, wait_for
from tests.sse import StreamClient


def fill(data: Path, *events: Event) -> None:
    """Events in a data directory whose daemon is not running."""
    journal = Journal(Database(data))
    journal.commit(Commit("door", [session(closed=START)], [(event, PICTURES) for event in events]))
    journal.database.close()


@pytest.fixture
def client() -> Iterator[Any]:
    started: list[StreamClient] = []

    def make(url: str, **options: Any) -> StreamClient:
        started.append(StreamClient(url, **options))
        return started[-1]

    yield make
    for each in started:
        each.close()


def status(daemon: Daemon, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(daemon.url + path, headers=dict(headers or {})), timeout=10
        ) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        said = error.read()
        return error.code, json.loads(said)["error"]["message"] if said.startswith(b"{") else said.decode()


def everything(daemon: Daemon) -> list[str]:
    """Every event's id by pages of seven, oldest first."""
    found: list[str] = []
    before = ""
    while True:
        page = daemon.get(f"/api/events?limit=7{before}")
        found += [event["id"] for event in page["events"]]
        if page["next"] is None:
            return found[::-1]
        before = f"&before={page['next']}"


def test_pages_pictures_and_wrong_questions(daemon: Daemon) -> None:
    fill(daemon.data, *(label_event(number) for number in range(20)))
    daemon.start()
    assert everything(daemon) == [f"s1-{number:06d}" for number in range(20)]
    moment = (START + timedelta(seconds=5)).isoformat().replace("+", "%2B")
    page = daemon.get(f"/api/events?class=person&processor=door&text=label+detected&to={moment}&limit=2")
    assert [event["id"] for event in page["events"]] == ["s1-000004", "s1-000003"]
    (event, _) = page["events"]
    with urllib.request.urlopen(daemon.url + event["frame"]) as answer:
        assert (answer.headers["Content-Type"], answer.read()) == ("image/jpeg", PICTURES.frame)
    with urllib.request.urlopen(daemon.url + event["crop"]) as answer:
        assert answer.read() == PICTURES.crop
    whole = daemon.get("/api/events/s1-000004")
    assert whole.pop("deliveries") == [] and whole == event
    assert daemon.get("/api/events/values")["class"] == ["PERSON"]
    for parameter, value in {
        "limit": "0",
        "before": "x",
        "from": "yesterday",
        "to": "2026-99-01",
        "type": "face_record",
        "colour": "red",
    }.items():
        code, said = status(daemon, f"/api/events?{parameter}={value}")
        assert code == 400 and said.startswith(f"{parameter}: "), said
    for path in ("s1-999999", "s1-000004/x.jpg", "..%2f..%2fstreamproc.db", "s1-000004/..%2f..%2fframe.jpg"):
        assert status(daemon, f"/api/events/{path}")[0] == 404
    assert status(daemon, "/api/processors/nobody/still.jpg")[0] == 404
    assert "640, 1280" in status(daemon, "/api/processors/nobody/still.jpg?width=9")[1]


def test_a_stream_begins_where_a_page_ended(daemon: Daemon, client: Any) -> None:
    fill(daemon.data, *(label_event(number) for number in range(3)))
    daemon.start()
    latest = daemon.get("/api/events?limit=1")["latest"]
    news, all_of_them = client(f"{daemon.url}/api/stream?after={latest}"), client(f"{daemon.url}/api/stream?after=0")
    wait_for(lambda: len(all_of_them.events) == 3, what="the past")
    assert all_of_them.headers["X-Accel-Buffering"] == "no"
    assert news.events == []
    lost = client(f"{daemon.url}/api/stream?after=99")
    wait_for(lambda: lost.topics("resync"), what="the word that this is no place")
    assert status(daemon, "/api/stream?after=x")[1].startswith("after: ")


@pytest.mark.models
@pytest.mark.timeout(600)
def test_killed_again_and_again_a_viewer_misses_nothing_and_sees_nothing_twice(
    daemon: Daemon, scene: Path, client: Any
) -> None:
    document = f"source: {{type: file, path: {scene}}}\nlabels: {{classes: [PERSON], profile: small, min_confidence: 50}}\noutputs: [{{type: file, directory: out}}]\n"
    for name in ("door", "porch"):
        daemon.put(name, document)
    chance = random.Random(3)
    daemon.start()
    viewer = client(f"{daemon.url}/api/stream?after=0")
    for _ in range(2):
        wanted = len(viewer.events) + 2

        def told(wanted: int = wanted) -> bool:
            for name, state in daemon.states().items():
                if state == "stopped":
                    run_start(daemon, name)
            return len(viewer.events) >= wanted

        wait_for(told, 150, "two more events")
        time.sleep(chance.uniform(0, 1.5))
        daemon.kill()
        daemon.start()
    for name in ("door", "porch"):
        daemon.until(name, "stopped", timeout=120)
    expected = everything(daemon)
    wait_for(lambda: len(viewer.events) >= len(expected), 30, "the last events")
    assert viewer.ids == expected
    assert [seq for seq, _ in viewer.events] == sorted({seq for seq, _ in viewer.events})
    assert viewer.connections >= 3 and len(expected) >= 6
    assert viewer.topics("resync") == []
    assert {state["name"] for state in viewer.topics("state")} == {"door", "porch"}
    run_start(daemon, "door")  # the last run may have had nothing left to show
    wait_for(lambda: status(daemon, "/api/processors/door/still.jpg")[0] == 200, 60, "a still of a run")
    with urllib.request.urlopen(f"{daemon.url}/api/processors/door/still.jpg") as answer:
        assert answer.read(3) == b"\xff\xd8\xff" and answer.headers["X-Frame-Time"].endswith("Z")
    daemon.until("door", "stopped", timeout=120)

    def had_already() -> bool:
        with urllib.request.urlopen(f"{daemon.url}/api/processors/door/still.jpg") as answer:
            tag = answer.headers["ETag"]
        return status(daemon, "/api/processors/door/still.jpg", {"If-None-Match": tag})[0] == 304

    wait_for(had_already, what="the last picture to be known")
    assert status(daemon, "/api/processors/door/still.jpg", {"If-None-Match": '"another"'})[0] == 200
    node = daemon.get("/api/node")
    assert node["cpu_target"] == 80 and 0 < node["disk"]["free"] < node["disk"]["total"]


def run_start(daemon: Daemon, name: str) -> None:
    request = urllib.request.Request(
        f"{daemon.url}/api/processors/{name}/start", b"{}", {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def test_history_is_bounded_and_an_edit_counts_at_once(daemon: Daemon) -> None:
    fill(daemon.data, *(label_event(number, data={"words": "w" * 900}) for number in range(60)))
    node = daemon.config / "streamproc.yaml"
    node.write_text("history: {keep: 30d, max_bytes: 1GB}\n")
    daemon.start()
    assert len(everything(daemon)) == 60
    node.write_text("history: {keep: 30d, max_bytes: 20KB}\n")
    wait_for(lambda: len(everything(daemon)) < 20, 40, "the pruning")
    left = everything(daemon)
    assert left[-1] == "s1-000059" and len(left) > 10
    assert status(daemon, "/api/events/s1-000000/frame.jpg")[0] == 404
    viewer = StreamClient(f"{daemon.url}/api/stream", after="1")
    wait_for(lambda: len(viewer.events) == len(left), what="what is left")
    viewer.close()
    assert "not kept" in viewer.topics("resync")[0]["reason"], "who was away too long is told"


def test_events_on_the_command_line(daemon: Daemon, tmp_path: Path) -> None:
    fill(daemon.data, *(label_event(number) for number in range(5)))
    stored = run_cli("events", "door", "--json", "--limit", "2", "--data-dir", daemon.data)
    daemon.start()
    asked = run_cli("events", "door", "--json", "--limit", "2", "--url", daemon.url)
    for done in (stored, asked):
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["s1-000003", "s1-000004"]
    table = run_cli("events", "--class", "person", "--from", "2026-05-04T03:02:04Z", "--url", daemon.url)
    assert [line.split()[2:5] for line in table.stdout.splitlines()] == [["door", "label_detected", "PERSON"]] * 2
    wrong = run_cli("events", "--type", "nonsense", "--url", daemon.url)
    assert wrong.returncode == 2 and "type: " in wrong.stderr
    assert run_cli("events", "--from", "whenever", "--url", daemon.url).returncode == 2


@pytest.mark.models
@pytest.mark.timeout(600)
def test_followed_events_go_on_over_a_crash(daemon: Daemon, scene: Path) -> None:
    daemon.put(
        "door",
        f"source: {{type: file, path: {scene}}}\nlabels: {{classes: [PERSON], profile: small, min_confidence: 50}}\noutputs: [{{type: file, directory: out}}]\nstate: stopped\n",
    )
    daemon.start()
    command = [*STREAMPROC, "events", "door", "--follow", "--json", "--url", daemon.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as following:
        try:
            assert following.stdout is not None
            run_start(daemon, "door")
            first = json.loads(following.stdout.readline())["id"]
            daemon.kill()
            daemon.start()
            wait_for(lambda: len(everything(daemon)) >= 2, 150, "the session's end")
            expected = everything(daemon)
            assert [first, *(json.loads(following.stdout.readline())["id"] for _ in expected[1:])] == expected
        finally:
            following.terminate()

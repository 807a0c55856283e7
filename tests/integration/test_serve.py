"""The daemon as its user meets it: files come, change, break and go; it is stopped and killed."""

from __future__ import annotations

import json
import random
import sqlite3
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for

pytestmark = pytest.mark.models


def looped(clip: Path, extra: str = "") -> str:
    """A camera that never ends."""
    return document(clip, extra, "PERSON").replace("realtime: false", "realtime: true, loop: true")


def document(clip: Path, extra: str = "", classes: str = "PERSON, PET") -> str:
    return (
        f"source: {{type: file, path: {clip}, realtime: false}}\n"
        "session: {duration: 120s}\n"
        f"labels: {{classes: [{classes}], min_confidence: 50}}\n"
        f"outputs: [{{type: file, directory: out}}]\n{extra}"
    )


def test_files_come_change_break_and_go(daemon: Daemon, scene: Path) -> None:
    daemon.start()
    path = daemon.put("door", looped(scene))
    daemon.until("door", "running")
    session = daemon.get("/api/processors/door")["session"]["id"]

    daemon.put("door", path.read_text().replace("min_confidence: 50", "min_confidence: 55"))
    wait_for(lambda: daemon.get("/api/processors/door")["config"]["labels"]["min_confidence"] == 55, 20, "the edit")
    assert daemon.get("/api/processors/door")["session"]["id"] == session
    assert daemon.get("/api/processors/door")["state"] == "running"

    daemon.put("door", path.read_text().replace("min_confidence: 55", "min_confidence: 5000"))
    daemon.put("porch", "source: {type: file}\nlabels: {}\n")
    daemon.until("porch", "refused")
    wait_for(lambda: f"{path}:3: labels.min_confidence: " in daemon.log.read_text(), 20, "the refusal's line")
    assert daemon.states()["door"] == "running"
    assert daemon.get("/api/processors/door")["config"]["labels"]["min_confidence"] == 55

    shown = run_cli("list", "--json", "--url", daemon.url)
    assert {item["name"]: item["state"] for item in json.loads(shown.stdout)} == {"door": "running", "porch": "refused"}
    assert run_cli("describe", "nobody", "--json", "--url", daemon.url).returncode == 1

    daemon.put("door", path.read_text().replace("min_confidence: 5000", "min_confidence: 55") + "state: stopped\n")
    daemon.until("door", "stopped")
    wait_for(
        lambda: [e for e in read_lines(daemon.config / "out") if e["type"] == "session_complete"], 20, "the summary"
    )
    path.unlink()
    (daemon.config / "processors" / "porch.yaml").unlink()
    wait_for(lambda: daemon.states() == {}, 20, "the processors' deletion")
    assert daemon.terminate() == 0


def test_control_verbs(daemon: Daemon, scene: Path, tmp_path: Path) -> None:
    daemon.start()
    file = tmp_path / "yard.yaml"
    file.write_text(looped(scene, "state: stopped\n"))

    def verb(*words: str | Path) -> dict[str, object]:
        done = run_cli(*words, "--json", STREAMPROC_URL=daemon.url)
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    assert verb("create", file)["state"] == "stopped"
    assert run_cli("create", file, "--url", daemon.url).returncode == 1
    started = verb("start", "yard")
    assert started["state"] in ("starting", "running") and started["session_id"]
    assert run_cli("start", "yard", "--url", daemon.url).returncode == 1
    assert verb("stop", "yard")["state"] == "stopped"
    assert verb("describe", "yard")["config"]["labels"]["min_confidence"] == 50  # type: ignore[index]
    assert verb("delete", "yard") == {"name": "yard", "deleted": True}
    assert run_cli("describe", "yard", "--url", daemon.url).returncode == 1
    alone = run_cli("cluster", "status", "--url", daemon.url)
    assert alone.returncode == 1 and "in no cluster" in alone.stderr
    assert run_cli("cluster", "drain", "--url", daemon.url).returncode == 0, "there is nothing to hand over"
    for method, path, status, word in (
        ("GET", "nothing", 404, "/api/nothing"),
        ("PATCH", "processors", 405, "GET, POST"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{daemon.url}/api/{path}", method=method))
        assert refused.value.code == status and word in json.load(refused.value)["error"]["message"]


def facts(events: list[dict[str, object]]) -> list[tuple[object, ...]]:
    keys = ("type", "class", "media_time_s", "confidence", "box", "counts")
    return [tuple(json.dumps(event.get(key)) for key in keys) for event in events]


def checkpoint(database: Path) -> tuple[object, ...] | None:
    with sqlite3.connect(database) as opened:
        found: tuple[object, ...] | None = opened.execute("SELECT * FROM checkpoints").fetchone()
        return found


def test_killed_at_any_moment_it_tells_the_same_once_and_what_has_ended_is_not_run_again(
    daemon: Daemon, scene: Path, replayed: str
) -> None:
    expected = facts([json.loads(line) for line in replayed.splitlines()])
    chance, database = random.Random(7), daemon.data / "streamproc.db"
    daemon.put("door", document(scene))
    for _ in range(2):
        daemon.start()
        time.sleep(chance.uniform(0.2, 4.0))
        daemon.kill()
    daemon.start()
    note = wait_for(lambda: checkpoint(database), 60, "a checkpoint")
    daemon.until("door", "stopped", timeout=90)
    assert daemon.terminate() == 0
    events = read_lines(daemon.config / "out")
    assert facts(events) == expected
    assert len({event["id"] for event in events}) == len(events)
    assert len({event["session"] for event in events}) == 1
    assert Path(events[0]["frame"]).is_file() and Path(events[0]["crop"]).is_file()

    def stays(what: str) -> None:
        begun = daemon.log.read_text().count('"event": "running"')
        daemon.start()
        time.sleep(1)
        assert daemon.states() == {"door": "stopped"}, what
        assert daemon.terminate() == 0
        assert read_lines(daemon.config / "out") == events, what
        assert daemon.log.read_text().count('"event": "running"') == begun, what

    stays("it has ended by itself")
    with sqlite3.connect(database) as opened:
        opened.execute("INSERT INTO checkpoints VALUES (?, ?, ?)", note)
        opened.execute("UPDATE processors SET finished = NULL")
    stays("it was killed between its summary and the last note")


def test_killed_in_real_time_the_session_goes_on_under_its_id(daemon: Daemon, scene: Path) -> None:
    daemon.put("door", looped(scene))
    daemon.start()
    wait_for(lambda: read_lines(daemon.config / "out"), 60, "the first event")
    session = daemon.get("/api/processors/door")["session"]
    daemon.kill()
    daemon.start()
    daemon.until("door", "running")
    resumed = daemon.get("/api/processors/door")["session"]
    assert resumed["id"] == session["id"] and resumed["announced"].items() >= session["announced"].items()
    assert daemon.terminate() == 0
    events = read_lines(daemon.config / "out")
    assert {event["session"] for event in events} == {session["id"]}
    assert events[-1]["type"] == "session_complete" and events[-1]["reason"] == "shutdown"
    assert [event.get("class") for event in events].count("PERSON") == 1

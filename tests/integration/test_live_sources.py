"""Cameras and logs through the daemon: a camera that goes away, a log that is read on after a SIGKILL."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for

pytestmark = pytest.mark.models
LABELS = (
    "labels: {classes: [PERSON, PET], profile: small, min_confidence: 50}\noutputs: [{type: file, directory: out}]\n"
)


def facts(events: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    keys = ("type", "class", "media_time_s", "confidence", "box", "counts", "reason")
    return [tuple(json.dumps(event.get(key)) for key in keys) for event in events]


@pytest.mark.kafka
def test_a_log_killed_in_the_middle_tells_what_the_file_tells(
    daemon: Daemon, scene: Path, kafka: Any, tmp_path: Path
) -> None:
    topic = f"video-{uuid.uuid4().hex[:8]}"
    published = run_cli(
        "publish",
        scene,
        "--kafka",
        kafka.bootstrap,
        "--topic",
        topic,
        "--stream",
        "door",
        "--fragment-seconds",
        "1",
        "--json",
    )
    assert published.returncode == 0, published.stderr
    numbers = [json.loads(line)["number"] for line in published.stdout.splitlines()]
    assert len(numbers) >= 7

    config = tmp_path / "door.yaml"
    session = "session: {duration: 7s}\n"
    config.write_text("source: {type: file, path: x}\n" + session + LABELS)
    replayed = run_cli("replay", scene, "--config", config, "--json")
    expected = [json.loads(line) for line in replayed.stdout.splitlines()]

    source = f"{{type: kafka, bootstrap_servers: '{kafka.bootstrap}', topic: {topic}, stream: door, start: {{fragment: '{numbers[0]}'}}}}"
    daemon.put("door", f"source: {source}\n{session}{LABELS}")
    daemon.start()
    wait_for(lambda: read_lines(daemon.config / "out"), 60, "the first event")
    daemon.kill()
    daemon.start()
    daemon.until("door", "stopped", timeout=90)
    daemon.terminate()
    events = read_lines(daemon.config / "out")
    assert facts(events) == facts(expected)
    assert len({event["session"] for event in events}) == 1


@pytest.mark.rtsp
def test_a_camera_that_goes_away_and_comes_back(daemon: Daemon, scene: Path, rtsp: Any) -> None:
    server = rtsp({"/cam": scene})
    daemon.put("cam", f"source: {{type: rtsp, url: '{server.url('/cam')}'}}\nsession: {{duration: 100s}}\n{LABELS}")
    daemon.start()
    wait_for(lambda: read_lines(daemon.config / "out"), 60, "the first event")
    server.stop()
    wait_for(lambda: daemon.get("/api/processors/cam")["source"]["state"] == "gap", 30, "the gap")
    time.sleep(2)
    server.start()
    wait_for(lambda: daemon.get("/api/processors/cam")["source"]["state"] == "running", 40, "the camera's return")
    wait_for(lambda: [e for e in read_lines(daemon.config / "out") if e["type"] == "source_gap"], 20, "the gap's event")
    session = daemon.get("/api/processors/cam")["session"]

    daemon.kill()
    daemon.start()
    wait_for(
        lambda: daemon.get("/api/processors/cam")["source"].get("state") == "running", 40, "going on after the kill"
    )
    assert daemon.get("/api/processors/cam")["session"]["announced"].items() >= session["announced"].items()
    wait_for(
        lambda: len([e for e in read_lines(daemon.config / "out") if e["type"] == "source_gap"]) == 2, 20, "its gap"
    )
    assert daemon.terminate() == 0
    events = read_lines(daemon.config / "out")
    assert {event["session"] for event in events} == {session["id"]}
    assert [event["media_time_s"] for event in events] == sorted(event["media_time_s"] for event in events)
    labels = [event["class"] for event in events if event["type"] == "label_detected"]
    assert len(labels) == len(set(labels))
    summary = events[-1]
    assert summary["type"] == "session_complete" and summary["reason"] == "shutdown"
    assert summary["gap_s"] >= 2 and len(summary["gaps"]) == 2

"""Replay: real models on the scene, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.daemon import run_cli

pytestmark = pytest.mark.models


def test_replay_is_deterministic_and_sees_who_is_there(scene: Path, tmp_path: Path) -> None:
    first = run_cli("replay", scene, "--json", "--classes", "PERSON,PET")
    assert first.returncode == 0, first.stderr
    events = [json.loads(line) for line in first.stdout.splitlines()]
    assert [event["type"] for event in events] == ["label_detected", "label_detected", "session_complete"]
    assert [event.get("class") for event in events] == ["PERSON", "PET", None]
    assert events[-1]["counts"] == {"PERSON": 1, "PET": 1}
    assert {event["session"] for event in events} == {events[0]["session"]}
    assert [event["id"] for event in events] == [f"{events[0]['session']}-{n:06d}" for n in range(3)]

    config = tmp_path / "door.yaml"
    config.write_text(
        "state: stopped\nsource: {type: rtsp, url: 'rtsp://nowhere/1'}\nsession: {mode: continuous, gone_after: 2s}\n"
        "labels: {classes: [PERSON]}\nregions: [{name: left, box: {left: 0, top: 0, width: 0.5, height: 1}}]\n"
    )
    out = tmp_path / "pictures"
    by_config = [run_cli("replay", scene, "--config", config, "--json", "--out", out) for _ in range(2)]
    assert by_config[0].stdout == by_config[1].stdout and by_config[0].stdout
    told = [json.loads(line) for line in by_config[0].stdout.splitlines()]
    assert told[0]["processor"] == "door" and told[0]["region"] == "left" and told[0]["overlap"] > 0.5
    assert Path(told[0]["frame"]).read_bytes()[:2] == Path(told[0]["crop"]).read_bytes()[:2] == b"\xff\xd8"
    assert told[-1]["type"] == "session_complete" and told[-1]["reason"] == "gone"


def test_a_text_named_mp4_is_wrong_input(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("this is no video")
    done = run_cli("replay", path, "--json")
    assert done.returncode == 2 and "clip.mp4" in done.stderr and not done.stdout

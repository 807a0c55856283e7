"""Replay: real models on the scene, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.daemon import run_cli

pytestmark = pytest.mark.models


def test_the_same_clip_gives_the_same_bytes(scene: Path, replayed: str) -> None:
    events = [json.loads(line) for line in replayed.splitlines()]
    assert [event["type"] for event in events] == ["label_detected", "label_detected", "session_complete"]
    assert [event.get("class") for event in events] == ["PERSON", "PET", None]
    assert events[-1]["counts"] == {"PERSON": 1, "PET": 1}
    assert [event["id"] for event in events] == [f"{events[0]['session']}-{n:06d}" for n in range(3)]
    again = run_cli("replay", scene, "--json", "--classes", "PERSON,PET")
    assert again.stdout == replayed


def test_a_config_replaces_all_but_the_source(scene: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "door.yaml", tmp_path / "pictures"
    config.write_text(
        "state: stopped\nsource: {type: rtsp, url: 'rtsp://nowhere/1'}\nsession: {mode: continuous, gone_after: 2s}\n"
        "labels: {classes: [PERSON]}\nregions: [{name: left, box: {left: 0, top: 0, width: 0.5, height: 1}}]\n"
    )
    done = run_cli("replay", scene, "--config", config, "--json", "--out", out)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[0]["processor"] == "door" and told[0]["region"] == "left" and told[0]["overlap"] > 0.5
    assert Path(told[0]["frame"]).read_bytes()[:2] == Path(told[0]["crop"]).read_bytes()[:2] == b"\xff\xd8"
    assert told[-1]["type"] == "session_complete" and told[-1]["reason"] in ("gone", "end_of_stream")


@pytest.mark.parametrize("called", ["clip.mp4", "photo.jpg"])  # FFmpeg believes the second one's name
def test_a_text_is_wrong_input_whatever_it_is_called(tmp_path: Path, called: str) -> None:
    path = tmp_path / called
    path.write_text("this is no video")
    done = run_cli("replay", path, "--json")
    assert done.returncode == 2 and called in done.stderr and not done.stdout

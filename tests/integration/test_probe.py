"""``probe`` of files and of a camera."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.catalog import check
from streamproc.config.processor import ConnectorRef
from tests.builders.clips import grey_clip
from tests.servers.rtsp import lengthen


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamproc", "probe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_a_file(tmp_path: Path) -> None:
    clip = grey_clip(tmp_path / "clip.mp4", frames=45)
    done = run(str(clip), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["codec"], found["width"], found["height"], found["fps"]) == ("h264", 320, 240, 15.0)
    assert (found["gop_frames"], found["gop_seconds"], found["audio"], found["frames"]) == (15, 1.0, [], 45)
    check(ConnectorRef.model_validate(found["suggested"]), "source")
    words = run(str(clip)).stdout
    assert "h264" in words and yaml.safe_load(words.split("\n\n")[1])["source"]["type"] == "file"


def test_a_file_whose_name_begins_like_a_protocol(tmp_path: Path) -> None:
    grey_clip(tmp_path / "10:22:33.mp4", frames=15)
    done = run("10:22:33.mp4", "--json", cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.returncode == 0 and json.loads(done.stdout)["codec"] == "h264", done.stderr


@pytest.mark.parametrize("content", [None, b"", b"no video at all"])
def test_what_is_no_video_is_wrong_input(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "odd.mp4"
    if content is not None:
        path.write_bytes(content)
    done = run(str(path), "--json")
    assert done.returncode == 2 and "odd.mp4" in done.stderr and not done.stdout


@pytest.mark.rtsp
def test_a_camera_and_no_password_in_what_is_said(rtsp: Any, tmp_path: Path) -> None:
    clip = lengthen(grey_clip(tmp_path / "one.mp4"), tmp_path / "cam.mp4", 30)
    server = rtsp({"/cam": clip}, auth=("admin", "hush-hush"))
    done = run(server.url("/cam", credentials="admin:hush-hush"), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["codec"], found["width"], round(found["fps"])) == ("h264", 320, 15)
    assert found["suggested"]["username_env"] and found["suggested"]["url"] == server.url("/cam")
    assert "hush-hush" not in done.stdout + done.stderr
    refused = run(server.url("/cam", credentials="admin:hush-wrong"), "--json")
    assert refused.returncode == 1 and "password" in refused.stderr and "hush-wrong" not in refused.stderr

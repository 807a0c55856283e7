"""What a camera costs this box, measured on a short clip."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from streamproc.live.capacity import Capacity, Cost


def test_the_answer_follows_from_the_costs() -> None:
    answer = Capacity(2, Cost(0.05, 8), Cost(0.08, 8), Cost(0.5, 8), 1280, 720, 15.0).document()
    assert (answer["idle_cameras"], answer["busy_cameras"], answer["limit"]) == (20, 3, "inference")


@pytest.mark.models
def test_it_measures_a_clip(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(20):
            picture = np.zeros((240, 320, 3), np.uint8)
            picture[100:160, index * 10 : index * 10 + 60] = 200
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode())
    command = [sys.executable, "-m", "streamproc", "capacity", str(clip), "--classes", "PERSON", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["busy_cameras"] >= 0
    assert answer["idle_cameras"] >= answer["busy_cameras"]
    assert answer["camera"] == {"width": 320, "height": 240, "fps": 10.0}


def test_a_missing_clip_is_wrong_input(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streamproc", "capacity", str(tmp_path / "none.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "none.mp4" in done.stderr

"""What a camera and each stage cost this box, measured on a short clip and on a real camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import InputError
from streamproc.measure import sample
from streamproc.vision.profiles import profile
from tests.daemon import run_cli


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of a square that moves, ten pictures a second, a keyframe a second."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.gop_size = 10
        for index in range(20):
            picture = np.zeros((240, 320, 3), np.uint8)
            picture[100:160, index * 10 : index * 10 + 60] = 200
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode())
    return path


@pytest.mark.models
def test_capacity_measures_a_clip(clip: Path, tmp_path: Path) -> None:
    done = run_cli("capacity", clip, "--classes", "PERSON", "--data-dir", tmp_path / "data", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["idle_cameras"] >= answer["quiet_cameras"] >= answer["busy_cameras"] >= 0
    assert answer["limit"] in ("decoding", "inference", "ingest", "memory")
    camera = answer["camera"]
    assert (camera["width"], camera["height"], camera["fps"], camera["gop_s"]) == (320, 240, 10.0, 1.0)
    assert answer["memory"]["camera_mb"] >= 0 and answer["cores"] > 0
    assert not list((tmp_path / "data").iterdir()), "what was written to measure with is gone"


@pytest.mark.models
def test_bench_measures_every_stage(clip: Path, tmp_path: Path) -> None:
    done = run_cli("bench", "--clip", clip, "--classes", "PERSON", "--data-dir", tmp_path / "data", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    stages = {row["stage"]: row for row in answer["stages"]}
    people = [name for name in stages if name.startswith(profile("default").person)]
    assert len(people) == 2, "the people detector is measured at the sizes of a whole frame and of a crop"
    assert set(stages) >= {
        "demux from a file",
        "decode every picture",
        "decode, keyframes only",
        "decode without loop filter",
        "luma gate",
        "picture to detector input",
        "a whole look, nothing moves",
        "a whole look, busy",
        "encode hero frame",
        "encode crop",
        "commit an event to the journal (fsync)",
        "hand-off to a worker thread",
    }
    assert all(row["cpu_ms"] > 0 and row["wall_ms"] > 0 and row["per_core_second"] > 0 for row in stages.values())
    assert people[0].startswith("ssd") or not any(name.startswith("ssd") for name in stages), (
        "models of classes that are not asked for are not measured"
    )
    assert stages["decode, keyframes only"]["cpu_ms"] < stages["a whole look, busy"]["cpu_ms"]


@pytest.mark.rtsp
def test_a_camera_is_recorded_and_its_reception_measured(
    rtsp: Any, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.servers.rtsp import lengthen

    monkeypatch.setattr(sample, "MEASURED_S", 1.5)
    server = rtsp({"/cam": lengthen(clip, tmp_path / "long.mp4", 60)})
    ref = ConnectorRef.model_validate({"type": "rtsp", "url": server.url("/cam")})
    camera = sample.of_camera(ref, "cam", tmp_path)
    assert (camera.width, camera.height) == (320, 240)
    assert camera.ingest_ms is not None and camera.ingest_ms > 0
    assert camera.frames >= 10 and camera.keyframes >= 1
    assert next(camera.packets()).keyframe, "it can be decoded from its first packet"


def test_a_camera_that_is_not_there_is_wrong_input(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "PATIENCE_S", 1.0)
    ref = ConnectorRef.model_validate({"type": "rtsp", "url": f"rtsp://127.0.0.1:{unused_tcp_port}/cam"})
    with pytest.raises(InputError, match=r"the shed: no picture came .*cannot connect"):
        sample.of_camera(ref, "the shed", tmp_path)


@pytest.mark.parametrize("arguments", [["capacity", "none.mp4"], ["bench", "--clip", "none.mp4"]])
def test_a_missing_clip_is_wrong_input(tmp_path: Path, arguments: list[str]) -> None:
    done = run_cli(*arguments, "--data-dir", tmp_path)
    assert done.returncode == 2
    assert "none.mp4" in done.stderr and not done.stdout

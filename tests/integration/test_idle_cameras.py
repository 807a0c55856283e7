"""Cameras that show nothing for a while, over RTSP: one may sleep, the other is decoded all the time, and both tell the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamproc.media.reader import read_frames
from tests.daemon import Daemon, read_lines, wait_for

pytestmark = [pytest.mark.models, pytest.mark.rtsp, pytest.mark.alone("a camera sleeps only where frames come in time")]
QUIET_S = 12
CONFIG = """
source: {{type: rtsp, url: '{url}'}}
session: {{duration: 100s}}
labels: {{classes: [PERSON, PET], profile: small}}
idle: {{enabled: {enabled}}}
outputs: [{{type: file, directory: out/{name}}}]
"""


@pytest.fixture
def quiet_then_busy(scene: Path, tmp_path: Path) -> Path:
    """The scene after twelve seconds of its first picture under a camera's noise; a keyframe a second."""
    frames = [frame.picture.bgr() for frame in read_frames(scene)]
    rate = round(len(frames) / 8)
    chance = np.random.default_rng(2)
    path = tmp_path / "quiet.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 640, 360, "yuv420p", rate
        noise = [chance.normal(0, 1.5, (*frames[0].shape[:2], 1)).astype(np.float32) for _ in range(11)]
        for number, picture in enumerate([frames[0]] * (QUIET_S * rate) + frames + [frames[-1]] * (30 * rate)):
            noisy = np.clip(picture + noise[number % len(noise)], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="bgr24")))
        out.mux(stream.encode())
    return path


def test_a_camera_that_slept_tells_what_one_that_was_awake_tells(
    daemon: Daemon, quiet_then_busy: Path, rtsp: Any
) -> None:
    server = rtsp({"/a": quiet_then_busy, "/b": quiet_then_busy})
    daemon.put("sleeper", CONFIG.format(url=server.url("/a"), enabled="true", name="sleeper"))
    daemon.put("awake", CONFIG.format(url=server.url("/b"), enabled="false", name="awake"))
    daemon.start()

    def idle(name: str) -> dict[str, Any]:
        found: dict[str, Any] = daemon.get(f"/api/processors/{name}")["metrics"].get("idle", {})
        return found

    wait_for(lambda: idle("sleeper").get("mode") == "asleep", 60, "sleep")
    assert idle("sleeper")["why"] == "nothing moves"
    assert 'streamproc_asleep{processor="sleeper"} 1.0' in daemon.get("/metrics")
    assert idle("awake") == idle("awake") | {"mode": "decoding", "why": "idle.enabled is false", "packets_undecoded": 0}

    def told(name: str) -> list[str]:
        return [
            event["class"] for event in read_lines(daemon.config / "out" / name) if event["type"] == "label_detected"
        ]

    for name in ("sleeper", "awake"):
        wait_for(lambda name=name: len(told(name)) == 2, 60, f"both events of {name}")
        assert told(name) == ["PERSON", "PET"]
    after = idle("sleeper")
    assert after["packets_undecoded"] > 0 and sum(after["wakes"].values()) >= 1
    assert after["wake_delay_p95_s"] is not None and after["wake_delay_p95_s"] <= 2.5
    assert 'streamproc_wake_delay_seconds_count{processor="sleeper"}' in daemon.get("/metrics")
    assert daemon.terminate() == 0

"""How many cameras this box holds: what one costs it, measured with the configured models on a real or a made feed.

A camera is measured twice: busy (the clip as it is) and quiet (its first picture standing still under a camera's noise, which is
what most cameras show most of the day). Each passes the whole live pipeline: decode, motion gate, detectors, decision.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InputError
from streamproc.live.assembly import Seers
from streamproc.live.replay import replay, whole_clip
from streamproc.media.reader import read_frames

CPU_SHARE = 0.8
"""Of the cores that may be used before latency grows."""
QUIET_S = 10
NOISE = 2.0


@dataclass(frozen=True)
class Cost:
    """Of one camera of a kind."""

    cpu_s: float
    """CPU seconds a second of its video."""
    media_s: float
    """How much video was measured."""

    def cameras(self, cores: int) -> int:
        """How many of them fit."""
        return int(cores * CPU_SHARE / max(self.cpu_s, 1e-6))


@dataclass(frozen=True)
class Capacity:
    """The answer, with what it rests on."""

    cores: int
    decode: Cost
    quiet: Cost
    busy: Cost
    width: int
    height: int
    fps: float

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        decode_share = self.decode.cpu_s / max(self.busy.cpu_s, 1e-6)
        return {
            "idle_cameras": self.quiet.cameras(self.cores),
            "busy_cameras": self.busy.cameras(self.cores),
            "limit": "decoding" if decode_share > 0.5 else "inference",
            "cores": self.cores,
            "cpu_share": CPU_SHARE,
            "camera": {"width": self.width, "height": self.height, "fps": round(self.fps, 3)},
            "cpu_s_per_camera_second": {
                "decode_only": round(self.decode.cpu_s, 4),
                "idle": round(self.quiet.cpu_s, 4),
                "busy": round(self.busy.cpu_s, 4),
            },
        }


def measure(clip: Path, config: ProcessorConfig, seers: Seers) -> Capacity:
    """Take about as long as the clip costs. Raises InputError where the clip cannot be read."""
    with av.open(str(clip)) as container:
        if not container.streams.video:
            raise InputError(f"{clip}: no video in it; give a clip or a camera's recording")
        video = container.streams.video[0]
        width, height = video.codec_context.width, video.codec_context.height
        fps = float(video.average_rate or 15)
    document = whole_clip(config)
    with tempfile.TemporaryDirectory() as folder:
        quiet_clip = _stand_still(clip, Path(folder) / "quiet.mp4", fps)
        _run(quiet_clip, document, seers)  # models are compiled with the first look; that is not a camera's cost
        decode, seconds = _decode(clip)
        busy = Cost(_run(clip, document, seers) / seconds, seconds)
        quiet = Cost(_run(quiet_clip, document, seers) / QUIET_S, float(QUIET_S))
    return Capacity(os.cpu_count() or 1, Cost(decode / seconds, seconds), quiet, busy, width, height, fps)


def _run(clip: Path, config: ProcessorConfig, seers: Seers) -> float:
    begun = time.process_time()
    for _ in replay(clip, config, seers, "capacity"):
        pass
    return time.process_time() - begun


def _decode(clip: Path) -> tuple[float, float]:
    """CPU seconds to decode the clip, and how long it is."""
    begun, last = time.process_time(), Fraction(0)
    for frame in read_frames(clip):
        last = frame.at.media
    return time.process_time() - begun, max(float(last), 0.04)


def _stand_still(clip: Path, target: Path, fps: float) -> Path:
    """The clip's first picture for QUIET_S seconds, with noise."""
    first = next(iter(read_frames(clip)), None)
    if first is None:
        raise InputError(f"{clip}: no picture in it can be decoded")
    picture = first.picture.bgr().astype(np.float32)
    picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    chance = np.random.default_rng(1)
    noise = [chance.normal(0, NOISE, (*picture.shape[:2], 1)).astype(np.float32) for _ in range(4)]
    rate = max(1, round(fps))
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "yuv420p"
        stream.gop_size = 2 * rate
        for index in range(QUIET_S * rate):
            pixels = np.clip(picture + noise[index % len(noise)], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        out.mux(stream.encode())
    return target

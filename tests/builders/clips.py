"""Small videos of drawn pictures. ``tests/videos.py`` has scenes with cuts, titles and colour bars."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def bar_clip(path: Path, codec: str = "libx264", gop: int = 10, b_frames: int = 2, frames: int = 60) -> Path:
    """15 frames a second of a moving bar."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=15)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = (
            160,
            96,
            "yuv420p" if codec == "libx264" else "yuv422p",
            gop,
        )
        if codec == "libx264":
            stream.max_b_frames = b_frames
            stream.options = {"x264-params": "scenecut=0"}
        for n in range(frames):
            image = np.full((96, 160, 3), 60, np.uint8)
            image[:, n % 140 : n % 140 + 20] = 200
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        out.mux(stream.encode())
    return path


def grey_clip(path: Path, codec: str = "libx264", frames: int = 30, rate: int = 15, gop: int = 15) -> Path:
    """A grey level that names the frame."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, "yuv420p", gop
        stream.max_b_frames = 0
        if codec == "libx264":
            stream.options = {"x264-params": "scenecut=0"}
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=error:bframes=0:pools=1"}
        for index in range(frames):
            out.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((240, 320, 3), index * 8 % 255, np.uint8), "bgr24"))
            )
        out.mux(stream.encode())
    return path

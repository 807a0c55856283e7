"""Videos that tests make themselves: drawn pictures, so that the truth is known by construction."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

SIZE = (320, 180)
Picture = np.ndarray


def scene(seed: int, frames: int) -> list[Picture]:
    """A still ground of large blocks, noise, and a bright square that moves."""
    random = np.random.default_rng(seed)
    ground = np.kron(random.uniform(20, 235, (5, 8, 3)), np.ones((36, 40, 1)))
    pictures = []
    for index in range(frames):
        picture = ground + random.normal(0, 2, (180, 320, 1))
        picture[60:100, 20 + 2 * index % 250 : 60 + 2 * index % 250] = 240
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


def black(frames: int) -> list[Picture]:
    return [np.zeros((180, 320, 3), np.uint8)] * frames


def bars(frames: int, names: str = "wycgmrb", level: int = 191) -> list[Picture]:
    """Colour bars in the given order."""
    colours = {
        "w": (1, 1, 1),
        "y": (0, 1, 1),
        "c": (1, 1, 0),
        "g": (0, 1, 0),
        "m": (1, 0, 1),
        "r": (0, 0, 1),
        "b": (1, 0, 0),
    }
    picture = np.zeros((180, 320, 3), np.uint8)
    for index, name in enumerate(names):
        left, right = round(index * 320 / len(names)), round((index + 1) * 320 / len(names))
        picture[:, left:right] = np.array(colours[name]) * level
    return [picture] * frames


def card(lines: Sequence[str], frames: int, ground: int = 18, ink: int = 235, top: int = 40) -> list[Picture]:
    """Rows of text on a plain ground."""
    picture = np.full((180, 320, 3), ground, np.uint8)
    for index, line in enumerate(lines):
        cv2.putText(picture, line, (30, top + 26 * index), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (ink,) * 3, 1, cv2.LINE_AA)
    return [picture] * frames


def credits(frames: int, speed: float = 2.0) -> list[Picture]:
    """White names that roll up over black."""
    tall = np.zeros((180 + int(frames * speed) + 400, 320, 3), np.uint8)
    for row in range(200, 200 + int(frames * speed) + 100, 24):
        cv2.putText(
            tall, f"Role {row}   A. Person", (50, row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235,) * 3, 1, cv2.LINE_AA
        )
    return [tall[int(index * speed) + 30 : int(index * speed) + 210] for index in range(frames)]


def dissolve(a: Sequence[Picture], b: Sequence[Picture], frames: int) -> list[Picture]:
    """``a`` into ``b``, the last ``frames`` of one over the first of the other."""
    mixed = [
        np.round(a[index - frames] * (1 - (index + 1) / (frames + 1)) + b[index] * ((index + 1) / (frames + 1)))
        for index in range(frames)
    ]
    return [*a[:-frames], *(picture.astype(np.uint8) for picture in mixed), *b[frames:]]


def write(
    path: Path,
    pictures: Sequence[Picture],
    *,
    rate: Fraction = Fraction(25),
    sound: np.ndarray | None = None,
    codec: str = "mpeg4",
) -> Path:
    """An MP4 (or whatever the name says). ``sound``: mono, -1..1, 48 kHz."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate, options={"qscale": "3"} if codec == "mpeg4" else {})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if codec == "mpeg4":
            video.bit_rate = 4_000_000
        audio = container.add_stream("aac", rate=48_000, layout="mono") if sound is not None else None
        for picture in pictures:
            for packet in video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")):
                container.mux(packet)
        for packet in video.encode():
            container.mux(packet)
        if audio is not None and sound is not None:
            for start in range(0, len(sound) - 1023, 1024):
                frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024].astype(np.float32), "fltp", "mono")
                frame.sample_rate, frame.pts = 48_000, start
                for packet in audio.encode(frame):
                    container.mux(packet)
            for packet in audio.encode():
                container.mux(packet)
    return path


def tone(seconds: float, level: float = 0.2) -> np.ndarray:
    return level * np.sin(2 * np.pi * 440 * np.arange(int(seconds * 48_000)) / 48_000)


def edit(path: Path, *, sound: bool) -> Path:
    """Two cuts and a dissolve; 8 seconds."""
    pictures = [*scene(1, 60), *scene(2, 45), *dissolve(scene(3, 50), scene(4, 60), 12)]
    return write(path, pictures, sound=tone(8.0) if sound else None)


def moving_bars(path: Path, codec: str, options: dict[str, str], *, size: str = "320x240", frames: int = 300) -> Path:
    """FFmpeg's moving test picture at 15 frames a second, encoded by PyAV: no ``ffmpeg`` command is needed."""
    with av.open(f"testsrc2=size={size}:rate=15", format="lavfi") as source, av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=15, options=options)
        stream.width, stream.height = (int(side) for side in size.split("x"))
        stream.pix_fmt = "yuv420p"
        for frame in islice(source.decode(video=0), frames):
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode())
    return path

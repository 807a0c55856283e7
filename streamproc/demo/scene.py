"""A doorstep scene, most of it real photographs that scikit-image carries: a person brings a parcel and goes, a cat comes and goes.

The photographs are read from the package (``demo.photographs``); the parcel is drawn (``demo.parcel``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamproc.demo.parcel import draw_parcel
from streamproc.demo.photographs import load_photographs

Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 15, 16
_HORIZON = 430
_BITRATE = 3_000_000
_DUSK = np.array([0.55, 0.6, 0.75], np.float32)
_EARTH = np.array([0.6, 0.65, 0.65], np.float32)
_PUT_DOWN_S = 5.1
"""Then the person stands in front of all of the parcel's place."""
_PARCEL_AT = (300, 460)
"""Its left top corner."""


@dataclass(frozen=True)
class Actor:
    """A photograph that walks through the scene."""

    label: str
    picture: Pixels
    """BGR."""
    enters_s: float
    leaves_s: float
    from_left: bool

    def place(self, second: float) -> tuple[int, int] | None:
        """Left top corner in pixels at that second (parts may be outside); None while it is off stage."""
        if not self.enters_s <= second <= self.leaves_s:
            return None
        height, width = self.picture.shape[:2]
        share = (second - self.enters_s) / (self.leaves_s - self.enters_s)
        stage = WIDTH + width
        x = -width + share * stage if self.from_left else WIDTH - share * stage
        bob = 4 * math.sin(second * 5)
        return round(x), round(HEIGHT - 20 - height + bob)


def _backdrop(wall: Pixels, ground: Pixels) -> Pixels:
    wall = np.rot90(wall)
    wall_part = cv2.resize(np.hstack([wall, wall[:, ::-1], wall]), (WIDTH, _HORIZON), interpolation=cv2.INTER_AREA)
    rows = HEIGHT - _HORIZON
    ground_part = cv2.resize(np.hstack([ground, ground[:, ::-1]]), (WIDTH, rows), interpolation=cv2.INTER_AREA)
    tinted = np.vstack([wall_part * _DUSK, ground_part * _EARTH])
    return tinted.astype(np.uint8)


def _actors(pictures: dict[str, Pixels]) -> list[Actor]:
    person = cv2.resize(pictures["person"], (560, 560), interpolation=cv2.INTER_CUBIC)
    cat = cv2.resize(pictures["cat"], (496, 330), interpolation=cv2.INTER_CUBIC)
    return [Actor("PERSON", person, 2.0, 9.5, from_left=True), Actor("PET", cat, 7.0, 14.5, from_left=False)]


def _paste(canvas: Pixels, picture: Pixels, left: int, top: int) -> None:
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + width), min(HEIGHT, top + height)
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = picture[y0 - top : y1 - top, x0 - left : x1 - left]


def _with_parcel(backdrop: Pixels) -> Pixels:
    """The backdrop with the parcel on the ground."""
    picture, cover = draw_parcel()
    height, width = picture.shape[:2]
    left, top = _PARCEL_AT
    furnished = backdrop.copy()
    place = furnished[top : top + height, left : left + width]
    place[:] = (place * (1 - cover) + picture * cover).astype(np.uint8)
    return furnished


def render() -> Iterator[Pixels]:
    """Every frame of the scene, (HEIGHT, WIDTH, 3) BGR, with the faint noise of a camera."""
    pictures = load_photographs()
    before = _backdrop(pictures["wall"], pictures["ground"])
    after = _with_parcel(before)
    actors = _actors(pictures)
    chance = np.random.default_rng(7)
    noise = [chance.normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(8)]
    for index in range(FPS * SECONDS):
        frame = (before if index / FPS < _PUT_DOWN_S else after).copy()
        for actor in actors:
            corner = actor.place(index / FPS)
            if corner:
                _paste(frame, actor.picture, *corner)
        yield np.clip(frame + noise[index % len(noise)], 0, 255).astype(np.uint8)


def write_scene(path: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Encode the scene as H.264 in MP4 at ``path`` (replaced whole or not at all). ``progress(done, total)`` counts frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    total = FPS * SECONDS
    with av.open(str(part), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = _BITRATE, 2 * FPS
        for done, picture in enumerate(render(), 1):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            progress(done, total)
        out.mux(stream.encode())
    part.replace(path)
    return path

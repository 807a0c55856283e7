"""Cameras for the benchmarks of many: clips of a real room under a camera's noise, 1080p at 15 frames a second, with real people
who come in and leave at known instants.

The corpus has the footage; what a camera shows between two visits is made: the last empty picture stands still under fresh
noise, as a camera has it. A visit is the footage of somebody coming in, then the same backwards. Everything is encoded as cameras
do (no B-frames, no look-ahead over GOPs, keyframes at fixed distances) and put together by copying packets.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np

from benchmarks.common import progress

RATE = 15
SIZE = (1920, 1080)
NOISE = 2.0
"""Standard deviation of the luma noise, of 255; grains are about two pixels wide, as a sensor's are behind its colour filter."""
STILL_S, STILLS, VISIT_S = 10, 3, 6
"""The empty room is encoded for STILLS times STILL_S seconds, no two frames alike, and then a visit. All but the visit's are multiples of
every distance of keyframes; the long one is cut short by it."""
BORDER = STILLS * STILL_S * RATE
"""The frame at which the visit begins; a keyframe."""
SECONDS = {"s": STILL_S, "v": VISIT_S, ".": 2}
SHIFTS = 512
"""Pixels by which a frame's noise may be shifted against another's."""
VERSION = 6
"""Of the making: clips of another are made anew."""

Coding = Literal["quality", "constant", "variable", "distant", "far"]
CODINGS: dict[Coding, dict[str, str]] = {
    "quality": {"crf": "27", "maxrate": "6M", "bufsize": "6M", "g": "30"},
    "constant": {"b": "2M", "minrate": "2M", "maxrate": "2M", "bufsize": "2M", "nal-hrd": "cbr", "g": "30"},
    "variable": {"b": "2M", "maxrate": "4M", "bufsize": "4M", "g": "30"},
    "distant": {"crf": "27", "maxrate": "6M", "bufsize": "6M", "g": "75"},
    "far": {"crf": "27", "maxrate": "6M", "bufsize": "6M", "g": "150"},
}
"""How a camera encodes: constant quality, constant rate with filler, a mean rate that may swing, and constant quality with keyframes five and
ten seconds apart."""
KINDS: tuple[Coding, ...] = ("quality", "constant", "variable", "distant")
"""What most cameras on walls are set to."""


@dataclass(frozen=True)
class Scene:
    """Somebody who comes in: ``enters`` is the second of the footage at which they are first seen."""

    name: str
    footage: str
    enters: float
    lead: float
    """Seconds of the visit's piece before they are seen."""
    shown: float = 2.3
    """Seconds of footage from there on; they are in view twice as long."""


SCENES = (
    Scene("room-1", "intel_one_by_one_person.mp4", 6.0, 0.6),
    Scene("room-2", "intel_one_by_one_person.mp4", 22.8, 0.9),
    Scene("night", "aws_person_night.mp4", 2.7, 1.2),
    Scene("room-3", "intel_one_by_one_person.mp4", 50.2, 0.2),
)
SCENE_FILES = tuple(dict.fromkeys(scene.footage for scene in SCENES))


@dataclass(frozen=True)
class Company:
    """Footage in which somebody is always in view, from second ``begin`` to ``end``."""

    name: str
    footage: str
    begin: float
    end: float


COMPANY = (
    Company("room-a", "intel_one_by_one_person.mp4", 27.0, 41.0),
    Company("door", "xr_doorbell_delivery.mp4", 2.0, 11.0),
    Company("room-b", "intel_one_by_one_person.mp4", 53.0, 67.0),
)


@dataclass(frozen=True)
class Camera:
    """A clip, and when somebody comes into view in it (seconds from its start; truth by construction)."""

    path: Path
    scene: str
    coding: Coding
    seconds: float
    entries: tuple[float, ...]


def cache_folder() -> Path:
    """Clips are kept in the user's cache; they can be made anew from the corpus at any time."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "streamproc-benchmarks"


class Maker:
    """Makes clips out of the corpus at ``corpus``, and keeps them in ``folder``."""

    def __init__(self, corpus: Path, folder: Path | None = None, size: tuple[int, int] = SIZE) -> None:
        self.corpus = corpus
        self.folder = folder or cache_folder()
        self.size = size

    def busy(self, seconds: float = 48.0) -> list[Camera]:
        """A visit every eight seconds."""
        pattern = "v." * max(1, round(seconds / (VISIT_S + 2)))
        return [self.camera(scene, "quality", pattern) for scene in SCENES[:3]]

    def present(self) -> list[Camera]:
        """Cameras that always show somebody: footage forwards, then backwards, under a camera's noise."""
        found = []
        for company in COMPANY:
            facts = f"{VERSION} {asdict(company)} {CODINGS['quality']} {self.size} {NOISE} {RATE}"
            path = self.folder / f"{company.name}-{hashlib.sha256(facts.encode()).hexdigest()[:10]}.mp4"
            if not path.is_file():
                self.folder.mkdir(parents=True, exist_ok=True)
                progress(f"encoding {company.name}")
                steps = range(round((company.end - company.begin) * RATE))
                footage = self.corpus / "video" / company.footage
                coming = footage_at(footage, [company.begin + step / RATE for step in steps], self.size)
                encode(noisy(coming + coming[::-1], company.name, self.size), path, self.size, CODINGS["quality"])
            found.append(Camera(path, company.name, "quality", 2 * (company.end - company.begin), (0.0,)))
        return found

    def camera(self, scene: Scene, coding: Coding, pattern: str) -> Camera:
        """``pattern``: v for a visit, s for ten seconds of the still room (others than the last time), . for two."""
        facts = f"{VERSION} {asdict(scene)} {coding} {CODINGS[coding]} {pattern} {self.size} {NOISE} {RATE}"
        digest = hashlib.sha256(facts.encode()).hexdigest()[:10]
        path = self.folder / f"{scene.name}-{coding}-{digest}.mp4"
        entries, at = [], 0.0
        for letter in pattern:
            if letter == "v":
                entries.append(round(at + scene.lead, 3))
            at += SECONDS[letter]
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            assemble(self._pieces(scene, coding), pattern, path)
        return Camera(path, scene.name, coding, at, tuple(entries))

    def _pieces(self, scene: Scene, coding: Coding) -> Path:
        """The empty room, then a visit, in one run of the encoder; frame ``BORDER`` is a keyframe."""
        facts = f"{VERSION} {asdict(scene)} {CODINGS[coding]} {self.size} {NOISE}"
        path = self.folder / f"pieces-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.mp4"
        if not path.is_file():
            progress(f"encoding {scene.name} as {coding}")
            encode(pictures(self.corpus / "video" / scene.footage, scene, self.size), path, self.size, CODINGS[coding])
        return path


def pictures(footage: Path, scene: Scene, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """I420 pictures (height * 3 / 2, width): the empty room up to BORDER, then the visit for VISIT_S; with noise."""
    empty, coming = footage_of(footage, scene, size)
    lead = round(scene.lead * RATE)
    visit = [empty] * lead + coming + coming[::-1]
    visit += [empty] * (VISIT_S * RATE - len(visit))
    yield from noisy([empty] * BORDER + visit[: VISIT_S * RATE], scene.name, size)


def noisy(clean: Sequence[np.ndarray], name: str, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The pictures, each under noise of its own; the same for the same ``name``."""
    chance = np.random.default_rng(len(name))
    field = grains(chance, size[0] + SHIFTS, size[1] + SHIFTS)
    for picture in clean:
        y, x = chance.integers(0, SHIFTS, 2)
        flips = slice(None, None, chance.choice((1, -1))), slice(None, None, chance.choice((1, -1)))
        grain = np.ascontiguousarray(field[y : y + size[1], x : x + size[0]][flips] * chance.choice((1, -1)))
        grainy = picture.copy()
        grainy[: size[1]] = cv2.add(picture[: size[1]], grain.astype(np.int16), dtype=cv2.CV_8U)
        yield grainy


def grains(chance: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Luma noise, int16, (height, width)."""
    raw = cv2.GaussianBlur(chance.normal(0, 1, (height, width)).astype(np.float32), (3, 3), 0.7)
    return np.asarray(np.round(raw * (NOISE / raw.std()))).astype(np.int16)


def footage_of(footage: Path, scene: Scene, size: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The empty room (the footage 0.3 s before anybody is seen), and the coming in at RATE, both as I420."""
    wanted = [scene.enters - 0.3] + [scene.enters + step / RATE for step in range(round(scene.shown * RATE))]
    found = footage_at(footage, wanted, size)
    return found[0], found[1:]


def footage_at(footage: Path, wanted: Sequence[float], size: tuple[int, int]) -> list[np.ndarray]:
    """The pictures at these seconds, which rise, as I420."""
    found: list[np.ndarray] = []
    with av.open(str(footage)) as container:
        for frame in container.decode(video=0):
            at = float(frame.pts * frame.time_base) - float((container.start_time or 0) / 1_000_000)
            while len(found) < len(wanted) and at >= wanted[len(found)] - 1e-6:
                found.append(frame.reformat(*size, format="yuv420p", interpolation="BICUBIC").to_ndarray())
            if len(found) == len(wanted):
                break
    return found


def encode(images: Iterator[np.ndarray], target: Path, size: tuple[int, int], options: dict[str, str]) -> None:
    """As a camera's encoder would: no B-frames, one reference, keyframes at fixed distances only."""
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.mp4")
    fixed = {"preset": "superfast", "bf": "0", "refs": "1", "sc_threshold": "0", "profile": "high"}
    params = f"scenecut=0:mbtree=0:rc-lookahead=0:keyint={options['g']}:min-keyint={options['g']}"
    with av.open(str(part), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={**fixed, **options, "x264-params": params})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    part.replace(target)


def assemble(pieces: Path, pattern: str, target: Path) -> None:
    """Copies packets: v for the visit, s for ten seconds of the still room, . for two."""
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.mp4")
    with av.open(str(pieces)) as source, av.open(str(part), "w") as out:
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        if len(packets) <= BORDER or not packets[BORDER].is_keyframe:
            raise ValueError(f"{pieces}: no keyframe where the visit begins; delete it, it is made anew")
        chosen = []
        for turn, letter in enumerate(pattern):
            begin = BORDER if letter == "v" else turn % STILLS * STILL_S * RATE
            chosen += packets[begin : begin + SECONDS[letter] * RATE]
        stream = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(chosen):
            again = av.Packet(bytes(packet))
            again.stream, again.time_base, again.is_keyframe = stream, Fraction(1, RATE), packet.is_keyframe
            again.pts = again.dts = number
            again.duration = 1
            out.mux(again)
    part.replace(target)

"""Clips of kinds that the corpus has no footage of, made of its photographs: cut out, pasted, turned, carried across real views.

A cut-out is what OpenCV's GrabCut leaves of a photograph's marked box. It is pasted over a view in which nothing is announced (a photograph, or a
moment of a clip at which its truth has nobody), moves on a path of its own, and the whole gets a camera's noise. Everything follows from the
files and constants here, so the same corpus gives the same clips.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.common import read_photo
from benchmarks.labels import Photo, read_coco, read_packages
from streamproc.core.media import EPOCH, Frame, Image
from streamproc.media.picture import ArrayPicture
from streamproc.media.reader import moment, read_frames

FPS, SECONDS = 10, 4.0
SIZE = (960, 540)
"""Width and height of the clips, in pixels."""
_VIEWS = (
    ("video/aws_person_night.mp4", 1.0),
    ("images/coco_val/000000000632.jpg", None),
    ("video/intel_one_by_one_person.mp4", 2.0),
    ("video/ocv4n_traffic.mp4", 5.0),
    ("images/coco_val/000000001503.jpg", None),
    ("video/aws_pet_night.mp4", 10.0),
)
"""Path in the corpus, and the second of a clip."""
_BY_DAY = (1, 2, 3, 4)
"""Of the views."""
_BY_NIGHT = 0.45
"""Light of an animal in the other views."""
_PETS = (
    ("coco_val/000000010363.jpg", "cat", 0),
    ("voc/2007_000063.jpg", "dog", 0),
    ("voc/2007_000549.jpg", "cat", 0),
    ("voc/2007_000720.jpg", "dog", 0),
    ("voc/2007_000876.jpg", "cat", 0),
    ("voc/2007_001239.jpg", "dog", 1),
    ("voc/2007_001239.jpg", "dog", 2),
)
_PEOPLE = (
    ("coco_val/000000000785.jpg", "person", 0),
    ("coco_val/000000009483.jpg", "person", 0),
    ("voc/2007_000807.jpg", "person", 0),
    ("voc/2007_001526.jpg", "person", 2),
    ("coco_val/000000005529.jpg", "person", 0),
    ("voc/2007_000793.jpg", "person", 7),
)
_OTHERS = (
    ("coco_val/000000005992.jpg", "sheep", 0),
    ("coco_val/000000001503.jpg", "tv", 0),
    ("coco_val/000000001503.jpg", "laptop", 0),
    ("coco_val/000000000785.jpg", "person", 0),
    ("voc/2007_000807.jpg", "person", 0),
    ("coco_val/000000005037.jpg", "bus", 0),
)
"""What is neither a pet nor a package, turned and carried all the same."""
KINDS = ("package_first", "package_hands", "pet_turned", "pet_close", "pet_by_day", "nothing")


@dataclass(frozen=True)
class CutOut:
    """Something cut out of a photograph."""

    key: str
    """Of the photograph; those of one doorstep have one."""
    image: Image
    alpha: npt.NDArray[np.float32]
    """(H, W) in 0..1."""

    @property
    def held_out(self) -> bool:
        """Nothing may be chosen by looking at clips of it."""
        return bool(hashlib.sha256(self.key.encode()).digest()[-1] % 2)


@dataclass(frozen=True)
class Pasted:
    """Where a cut-out is in one picture: its middle and height as shares of the picture's height and width, and its turn in degrees."""

    what: CutOut
    x: float
    y: float
    height: float
    turn: float = 0.0
    gain: float = 1.0
    """Its light: less than 1 by night."""


@dataclass(frozen=True)
class MadeClip:
    """One clip and what it shows."""

    name: str
    kind: str
    held_out: bool
    labels: tuple[str, ...]
    """Classes that are in view from the first picture to the last."""
    view: Image
    scene: Callable[[float], Sequence[Pasted]]
    """What is pasted at a share (0..1) of the clip."""

    def frames(self) -> Iterator[Frame]:
        """Ten a second, with a camera's noise."""
        noise = np.random.default_rng(zlib.crc32(self.name.encode()))
        count = round(FPS * SECONDS)
        for number in range(count):
            picture = self.view.astype(np.float32)
            for pasted in self.scene(number / (count - 1)):
                paste(picture, pasted)
            picture += noise.normal(0, 2.0, picture.shape[:2])[..., None]
            image = np.clip(picture, 0, 255).astype(np.uint8)
            yield Frame(moment(Fraction(number, FPS), EPOCH), ArrayPicture(image))


def cut_out(key: str, image: Image, box: Sequence[float]) -> CutOut:
    """What GrabCut takes for the thing in the box (corners in 0..1)."""
    scale = 480 / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    left, top, right, bottom = (round(v * n) for v, n in zip(box, (width, height) * 2, strict=True))
    mask = np.zeros((height, width), np.uint8)
    rect = (max(1, left), max(1, top), min(right, width - 2) - max(1, left), min(bottom, height - 2) - max(1, top))
    cv2.setRNGSeed(1)
    cv2.grabCut(small, mask, rect, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
    kept = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(kept)
    if len(stats) > 1:
        kept = (parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    kept = cv2.morphologyEx(kept, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    if kept.sum() < 0.25 * rect[2] * rect[3]:
        kept = np.zeros_like(kept)
        kept[rect[1] : rect[1] + rect[3], rect[0] : rect[0] + rect[2]] = 1
    full = cv2.resize(kept.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    rows, columns = np.flatnonzero((full > 0.5).any(1)), np.flatnonzero((full > 0.5).any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return CutOut(key, image[window], cv2.GaussianBlur(full[window], (0, 0), 1.5))


def paste(picture: npt.NDArray[np.float32], pasted: Pasted) -> None:
    """Paint it in place. What is outside the picture is cut."""
    rows, columns = picture.shape[:2]
    high, wide = pasted.what.image.shape[:2]
    scale = pasted.height * rows / high
    at = cv2.getRotationMatrix2D((wide / 2, high / 2), pasted.turn, scale)
    at[:, 2] += (pasted.x * columns - wide / 2, pasted.y * rows - high / 2)
    # Shrinking by warping alone would alias.
    image = cv2.GaussianBlur(pasted.what.image, (0, 0), max(0.01, 0.4 / scale)) if scale < 1 else pasted.what.image
    moved = cv2.warpAffine(image, at, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(pasted.what.alpha, at, (columns, rows), flags=cv2.INTER_LINEAR)[..., None]
    picture += alpha * (pasted.gain * moved.astype(np.float32) - picture)


class Studio:
    """Makes the clips of a corpus."""

    def __init__(self, corpus: Path) -> None:
        self._corpus = corpus
        photos = [photo for name in ("coco_val", "voc") for photo in read_coco(corpus / "images" / name)]
        self._photos = {f"{each.path.parent.name}/{each.path.name}": each for each in photos}
        self._views = [self._view(path, second) for path, second in _VIEWS]
        self._people = [self._marked(*each) for each in _PEOPLE]
        self._packages = self._all_packages()

    def clips(self) -> Iterator[MadeClip]:
        """All, kind by kind."""
        yield from self._first()
        yield from self._hands()
        yield from self._pets()
        yield from self._nothing()

    def _first(self) -> Iterator[MadeClip]:
        """A package lies there from the first picture; in every other clip somebody walks by."""
        for number, package in enumerate(self._packages):
            view = self._views[number % len(self._views)]
            there = Pasted(package, 0.3 + 0.1 * (number % 5), 0.8, 0.2 + 0.05 * (number % 3))
            by = [self._people[number % len(self._people)]] if number % 2 else []

            def scene(share: float, there: Pasted = there, by: Sequence[CutOut] = tuple(by)) -> list[Pasted]:
                return [*(Pasted(each, 1.15 - 1.3 * share, 0.55, 0.7) for each in by), there]

            labels = ("PACKAGE", "PERSON") if by else ("PACKAGE",)
            yield MadeClip(f"first-{number}-{package.key}", KINDS[0], package.held_out, labels, view, scene)

    def _hands(self) -> Iterator[MadeClip]:
        """Somebody carries a package across the view, before the chest."""
        for number, package in enumerate(self._packages):
            view = self._views[(number + 1) % len(self._views)]
            person = self._people[(number + 2) % len(self._people)]
            size = 0.16 + 0.04 * (number % 3)
            side = 1 if number % 2 else -1

            def scene(
                share: float,
                package: CutOut = package,
                person: CutOut = person,
                size: float = size,
                side: int = side,
            ) -> list[Pasted]:
                x, y = 0.5 + side * (0.28 - 0.5 * share), 0.55 + 0.008 * np.sin(25 * share)
                return [Pasted(person, x, y, 0.8), Pasted(package, x - side * 0.02, y - 0.06, size)]

            held = package.held_out
            yield MadeClip(f"hands-{number}-{package.key}", KINDS[1], held, ("PACKAGE", "PERSON"), view, scene)

    def _pets(self) -> Iterator[MadeClip]:
        for number, marked in enumerate(_PETS):
            pet = self._marked(*marked)
            for nth, turn in enumerate((90, 150, 200, 270)):
                place = (number + nth) % len(self._views)
                view, size = self._views[place], 0.42 if nth % 2 else 0.2
                gain = 1.0 if place in _BY_DAY else _BY_NIGHT

                def rolls(
                    share: float, pet: CutOut = pet, turn: int = turn, size: float = size, gain: float = gain
                ) -> list[Pasted]:
                    swing = float(np.sin(12 * share))
                    return [Pasted(pet, 0.5 + 0.02 * swing, 0.6, size, turn + 12 * swing, gain)]

                yield MadeClip(f"turned-{turn}-{pet.key}", KINDS[2], pet.held_out, ("PET",), view, rolls)
            for turn in (0, 180):
                view = self._views[(number + turn // 90) % len(self._views)]

                def close(share: float, pet: CutOut = pet, turn: int = turn) -> list[Pasted]:
                    swing = float(np.sin(9 * share))
                    return [Pasted(pet, 0.5 + 0.03 * swing, 0.55 + 0.02 * swing, 1.2, turn + 5 * swing)]

                yield MadeClip(f"close-{turn}-{pet.key}", KINDS[3], pet.held_out, ("PET",), view, close)
            for nth, size in enumerate((0.16, 0.24)):
                view = self._views[_BY_DAY[(number + nth) % len(_BY_DAY)]]

                def walks(share: float, pet: CutOut = pet, size: float = size) -> list[Pasted]:
                    return [Pasted(pet, 0.2 + 0.5 * share, 0.7 + 0.01 * float(np.sin(30 * share)), size)]

                yield MadeClip(f"day-{size}-{pet.key}", KINDS[4], pet.held_out, ("PET",), view, walks)

    def _nothing(self) -> Iterator[MadeClip]:
        """Other things turned and close by, and people who carry things that are no packages."""
        for number, marked in enumerate(_OTHERS):
            thing = self._marked(*marked)
            labels = ("PERSON",) if marked[1] == "person" else ()
            for nth, (turn, size) in enumerate(((100, 0.4), (180, 0.45), (0, 1.2), (250, 0.3))):
                view = self._views[(number + nth) % len(self._views)]

                def rolls(share: float, thing: CutOut = thing, turn: int = turn, size: float = size) -> list[Pasted]:
                    swing = float(np.sin(10 * share))
                    return [Pasted(thing, 0.5 + 0.02 * swing, 0.55, size, turn + 10 * swing)]

                yield MadeClip(f"other-{turn}-{size}-{thing.key}", KINDS[5], thing.held_out, labels, view, rolls)
        for number, person in enumerate(self._people):
            thing = self._marked(*_OTHERS[1 + number % 2])
            view = self._views[(number + 3) % len(self._views)]
            for carried in (None, thing):

                def walks(share: float, person: CutOut = person, carried: CutOut | None = carried) -> list[Pasted]:
                    x = 0.2 + 0.6 * share
                    things = [Pasted(carried, x + 0.02, 0.5, 0.15)] if carried else []
                    return [Pasted(person, x, 0.55, 0.8), *things]

                name = f"walks-{'with' if carried else 'without'}-{person.key}"
                yield MadeClip(name, KINDS[5], person.held_out, ("PERSON",), view, walks)

    def _marked(self, photo: str, name: str, row: int) -> CutOut:
        found = self._photos[photo]
        return cut_out(photo, _image(found.path), found.truth[name][row].tolist())

    def _all_packages(self) -> list[CutOut]:
        made = []
        for photo in read_packages(self._corpus / "images" / "packages"):
            image = _image(photo.path)
            made += [cut_out(_doorstep(photo), image, box.tolist()) for box in photo.truth["package"]]
        return made

    def _view(self, path: str, second: float | None) -> Image:
        if second is None:
            image = _image(self._corpus / path)
        else:
            frames = read_frames(self._corpus / path)
            image = next(frame.picture.bgr(1280, 1280) for frame in frames if frame.at.seconds >= second)
        height, width = image.shape[:2]
        scale = max(SIZE[0] / width, SIZE[1] / height)
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        top, left = (large.shape[0] - SIZE[1]) // 2, (large.shape[1] - SIZE[0]) // 2
        return np.asarray(large[top : top + SIZE[1], left : left + SIZE[0]], np.uint8)


def _doorstep(photo: Photo) -> str:
    """Photographs of one place have one key."""
    return photo.path.name[:12]


def _image(path: Path) -> Image:
    image = read_photo(path)
    scale = min(1.0, 1280 / max(image.shape[:2]))
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)

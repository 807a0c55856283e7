"""Sequences of a camera's thumbnails in which one thing goes wrong, or something that is no fault happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from streamproc.logic.camera_health import CameraHealth, Condition, HealthChange
from streamproc.logic.motion import Grey, thumbnail_size
from tests.builders.streets import Sequence_

WRONG_S, END_S = 16.0, 37.0
"""When things go wrong, and the end of a sequence: 21 s later."""
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def looped(clip: Path, seconds: float = 45.0) -> Sequence_:
    """The clip's thumbnails, five a second, again and again."""
    once: Sequence_ = []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            at = float(frame.time or 0)
            if not once or at - once[-1][0] >= 0.199:
                grey = frame.to_ndarray(format="gray")
                size = thumbnail_size(grey.shape[1], grey.shape[0])
                once.append((at, cv2.resize(grey, size, interpolation=cv2.INTER_AREA)))
    length = once[-1][0] + 0.2
    return [(at + turn * length, grey) for turn in range(int(seconds / length) + 1) for at, grey in once]


def judged(sequence: Iterator[tuple[float, Grey]] | Sequence_) -> list[tuple[float, HealthChange]]:
    health, found = CameraHealth(), []
    for at, grey in sequence:
        changes = health.frame(at)
        if health.wants(at):
            changes += health.picture(at, grey)
        found += [(at, change) for change in changes]
    return found


def spoiled(scene: Sequence_, change: Change, until: float = END_S) -> Iterator[tuple[float, Grey]]:
    chance = np.random.default_rng(5)
    for at, grey in scene:
        if at < WRONG_S or at >= until:
            yield at, grey
        elif at < END_S:
            yield at, np.clip(change(grey.astype(np.float32), chance), 0, 255).astype(np.uint8)


def lamp(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A lamp in the upper left corner is switched on."""
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width]
    distance = (x - width * 0.3) ** 2 + (y - height * 0.2) ** 2
    return np.asarray(grey * (0.6 + 2.0 * np.exp(-distance / (width * 0.3) ** 2)))


def rain(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    wet = grey.copy()
    for x, y in zip(chance.integers(0, grey.shape[1], 150), chance.integers(0, grey.shape[0] - 20, 150), strict=True):
        wet[y : y + 20, x] += 80
    return wet


def hand(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Something dark and smooth close before the lens."""
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]]
    return np.asarray(30 + 20 * x / grey.shape[1] + 10 * np.sin(y / 80) + chance.normal(0, 2, grey.shape))


def before_lens(share: float, cells: int) -> Change:
    """Something of coarse pattern stands in the left of the picture, so much of it wide."""

    def change(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        height, width = grey.shape
        pattern = np.random.default_rng(cells).integers(20, 220, (cells, cells)).astype(np.float32)
        there = grey.copy()
        there[:, : int(width * share)] = cv2.resize(
            pattern, (int(width * share), height), interpolation=cv2.INTER_CUBIC
        )
        return there

    return change


def turned(right: float, down: float) -> Change:
    """The view moves by so much of the picture, and other things come into it."""

    def change(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        height, width = grey.shape
        way = np.float32([[1, 0, int(width * right)], [0, 1, int(height * down)]])  # type: ignore[arg-type]
        left = cv2.warpAffine(np.ones_like(grey), way, (width, height)) > 0.5
        return np.where(left, cv2.warpAffine(grey, way, (width, height)), grey[::-1, ::-1])

    return change


WRONG: dict[str, tuple[Change, Condition]] = {
    "black": (lambda grey, chance: grey * 0, Condition.COVERED),
    "plain grey": (lambda grey, chance: grey * 0 + 128, Condition.COVERED),
    "a hand": (hand, Condition.COVERED),
    "blurred": (lambda grey, chance: cv2.GaussianBlur(grey, (0, 0), 6), Condition.DEFOCUSED),
    "a little blurred": (lambda grey, chance: cv2.GaussianBlur(grey, (0, 0), 3), Condition.DEFOCUSED),
    "turned": (lambda grey, chance: np.roll(grey, grey.shape[1] // 3, axis=1), Condition.MOVED),
    "pushed": (lambda grey, chance: np.roll(grey, grey.shape[1] // 6, axis=1), Condition.MOVED),
    "turned to other things": (turned(-0.3, 0.0), Condition.MOVED),
    "tilted": (turned(0.0, 0.3), Condition.MOVED),
}
RIGHT: dict[str, Change] = {
    "dusk": lambda grey, chance: grey * 0.2,
    "a bright day": lambda grey, chance: grey * 1.6 + 40,
    "noise": lambda grey, chance: grey + chance.normal(0, 25, grey.shape),
    "a grainy night": lambda grey, chance: grey * 0.2 + chance.normal(0, 8, grey.shape),
    "infra-red": lambda grey, chance: 204 * np.sqrt(grey / 255),
    "a lamp": lamp,
    "rain": rain,
    "a parked van": before_lens(0.4, 11),
    "somebody close": before_lens(0.55, 7),
}

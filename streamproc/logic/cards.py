"""What a single frame looks like when it is no scene: black, colour bars, text on a plain ground, a logo.

Array functions without state. Text is found without reading it: strokes stand close together in rows. Colour bars are found by
their order (SMPTE ECR 1-1978, EBU Tech 3325, SMPTE RP 219: white or grey, yellow, cyan, green, magenta, red, blue).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

LOOK = (320, 180)
"""(width, height) of the pictures that ``look`` expects."""
_LIT = 110
_BAR_ORDER = "wycgmrb"


@dataclass(frozen=True, slots=True)
class Look:
    """One frame's card features."""

    plain: float
    """Share of pixels within 12 levels of the most frequent brightness, 0..1."""
    lines: float
    """How many rows of text."""
    text: float
    """Share of the picture that the rows cover, 0..1."""
    bars: float
    """Likeness to colour bars, 0..1."""
    drawn: float
    """Share of the picture that solid shapes cover, 0..1: what is neither ground nor thin strokes."""


def black_share(luma: Image, max_pixel: float, full_range: bool) -> float:
    """Share of pixels of ``luma`` (its own range) that count as black, 0..1.

    The service's rule: below the minimum plus ``max_pixel`` (0..1) of the range; 0..255 full, 16..235 limited.
    """
    low, span = (0.0, 255.0) if full_range else (16.0, 219.0)
    # A threshold of 0 means exactly the minimum; codecs ring one level around it.
    return float((luma <= low + max_pixel * span).mean())


def lit_share(luma: Image) -> float:
    """Share of clearly bright pixels, 0..1: what tells white letters on black from black."""
    return float((luma > _LIT).mean())


def look(image: Image) -> Look:
    """Features of a (180, 320, 3) uint8 BGR picture."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    mode = int(np.convolve(counts, np.ones(9), "same").argmax())
    plain = float(counts[max(0, mode - 12) : mode + 13].sum() / grey.size)
    lines, text = text_rows(grey)
    ground = np.median(image[np.abs(grey.astype(np.int16) - mode) <= 12], axis=0)
    away = (np.abs(image.astype(np.int16) - ground.astype(np.int16)).max(2) > 28).astype(np.uint8)
    solid = cv2.morphologyEx(away, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    return Look(plain, float(lines), text, bars_likeness(image), float(solid.mean()))


def text_rows(grey: Image) -> tuple[int, float]:
    """(number, covered share) of the rows of text in a grey picture: wide flat groups of dense strokes."""
    height, width = grey.shape
    strokes = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    mask = (strokes > 48).astype(np.uint8)
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((1, max(3, width // 32)), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((2, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    rows: list[tuple[int, int]] = []
    area = 0
    for left, top, wide, high, size in stats[1:count]:
        if not (
            3 <= high <= height * 0.14 and wide >= 2 * high and wide >= width * 0.03 and size >= 0.55 * wide * high
        ):
            continue
        inside = mask[top : top + high, left : left + wide]
        # Letters change between stroke and ground many times along a row; an edge or a rule does not.
        changes = np.abs(np.diff(inside.astype(np.int8), axis=1)).sum(1).max()
        if changes * high < 0.9 * wide and changes < 10:
            continue
        middle = top + high // 2
        if not any(abs(middle - other) < max(high, tall) * 0.6 for other, tall in rows):
            rows.append((middle, high))
        area += int(wide * high)
    return len(rows), area / grey.size


def bars_likeness(image: Image) -> float:
    """How much a BGR picture looks like colour bars, 0..1."""
    height, width = image.shape[:2]
    band = image[height // 12 : height // 2].astype(np.float32)
    if float(band.std(0).mean()) > 12:
        return 0.0
    profile = np.median(band, axis=0)
    steps = np.flatnonzero(np.abs(np.diff(profile, axis=0)).max(1) > 14)
    edges = [0, *(int(step) + 1 for step in steps), width]
    names: list[str] = []
    covered = 0
    for start, end in itertools.pairwise(edges):
        if end - start < width // 32:
            continue
        colour = profile[start:end]
        if float(colour.std(0).max()) > 10:
            continue
        covered += end - start
        name = _bar_name(np.median(colour, axis=0))
        if not names or names[-1] != name:
            names.append(name)
    matched = _common("".join(names), _BAR_ORDER)
    return (matched / 7) * (covered / width) if matched >= 5 else 0.0


def _bar_name(bgr: npt.NDArray[np.float32]) -> str:
    """w, y, c, g, m, r, b for the colours of the bars, k for anything dark, ? for anything else."""
    high, low = float(bgr.max()), float(bgr.min())
    if high < 70:
        return "k"
    if high - low < 40:
        return "w" if high > 90 else "k"
    blue, green, red = (bool(float(value) > (high + low) / 2) for value in bgr)
    if low > 0.55 * high:
        return "?"
    names = {
        (False, True, True): "y",
        (True, True, False): "c",
        (False, True, False): "g",
        (True, False, True): "m",
        (False, False, True): "r",
        (True, False, False): "b",
    }
    return names.get((blue, green, red), "?")


def _common(one: str, two: str) -> int:
    """Length of the longest common subsequence."""
    table = np.zeros((len(one) + 1, len(two) + 1), int)
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return int(table[-1, -1])


def scroll(before: Image, after: Image) -> tuple[float, float]:
    """(upward shift as a share of the height, sureness 0..1) between two grey pictures of one size."""
    (_, down), sure = cv2.phaseCorrelate(before.astype(np.float32), after.astype(np.float32))
    return -float(down) / before.shape[0], float(sure)

"""Whether a view is another one shifted, or stands behind something: comparisons of edge maps of ``picture_health``. Pure array functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from streamproc.logic.picture_health import ViewMap, blended, likeness

_OVERLAP = 0.5
"""Least share of the picture that a shift must leave in common..."""
_TEXTURE = 0.4
"""...and the least share of the picture's variance in that part: flat parts are alike anywhere."""
_BLOCKS = (3, 4)
_BLOCK_LIKE = 0.6


@dataclass(frozen=True, slots=True)
class Shift:
    """The shift under which two maps are most alike."""

    right: int
    down: int
    likeness: float
    """Correlation over what they then have in common."""
    in_place: float
    """The same without a shift."""


@dataclass(frozen=True, slots=True)
class ShiftPolicy:
    """When a view is the usual one, but somewhere else in the picture."""

    likeness: float = 0.6
    """Over what is left of it..."""
    gain: float = 0.25
    """...and so much more than in place..."""
    cells: int = 4
    """...by at least so many cells of the map (96 across)..."""
    wander: int = 2
    """...and by the same, give or take so many, from picture to picture."""
    recent: float = 0.4
    """How much a picture counts among the last ones, in which the shift is looked for."""


class ShiftWatch:
    """Follows pictures of one camera. A pure state machine."""

    def __init__(self, policy: ShiftPolicy | None = None) -> None:
        self._policy = policy or ShiftPolicy()
        self._recent: ViewMap | None = None
        """The edges of the last pictures together: what passes by is nearly gone from them."""
        self._before: Shift | None = None

    def forget(self) -> None:
        """What comes next does not follow on the pictures before."""
        self._recent = self._before = None

    def rests(self, usual: ViewMap, edges: ViewMap) -> bool:
        """Whether, with this picture, the usual view rests somewhere else."""
        policy, before = self._policy, self._before
        self._recent = edges if self._recent is None else blended(self._recent, edges, policy.recent)
        self._before = None
        if likeness(self._recent, usual) >= policy.likeness:
            return False
        shift = self._before = best_shift(usual, self._recent)
        far = max(abs(shift.right), abs(shift.down)) >= policy.cells
        clear = shift.likeness >= policy.likeness and shift.likeness - shift.in_place >= policy.gain
        if before is None or not (far and clear):
            return False
        return max(abs(shift.right - before.right), abs(shift.down - before.down)) <= policy.wander


def best_shift(usual: ViewMap, now: ViewMap) -> Shift:
    """Of two maps of equal shape, by correlation over the overlap of each shift."""
    height, width = usual.shape
    size = (_room(height), _room(width))

    def sums(one: ViewMap, other: ViewMap) -> npt.NDArray[np.float64]:
        """Of the products under each shift of ``other``."""
        found = np.fft.irfft2(np.conj(np.fft.rfft2(one, size)) * np.fft.rfft2(other, size), size)
        return np.asarray(found, np.float64)

    ones, count = np.ones_like(usual), _counts(height, width)
    of_usual, of_now = sums(usual, ones), sums(ones, now)
    spread = np.maximum(sums(usual * usual, ones) - of_usual**2 / count, 1e-9)
    spread_now = np.maximum(sums(ones, now * now) - of_now**2 / count, 1e-9)
    like = (sums(usual, now) - of_usual * of_now / count) / np.sqrt(spread * spread_now)
    told = (count >= _OVERLAP * usual.size) & (spread >= _TEXTURE * spread[0, 0])
    told &= spread_now >= _TEXTURE * spread_now[0, 0]
    told[0, 0] = True
    row, column = (int(value) for value in np.unravel_index(np.argmax(np.where(told, like, -1.0)), like.shape))
    down, right = _signed(row, size[0]), _signed(column, size[1])
    return Shift(right, down, float(like[row, column]), float(like[0, 0]))


def unchanged_share(usual: ViewMap, now: ViewMap) -> float:
    """Share of the picture's blocks (those with edges) that look as ever: high where something large stands before a camera that was not moved."""
    rows, columns = _BLOCKS
    least = 0.5 * float(usual.std())
    found = []
    for strip, strip_now in zip(np.array_split(usual, rows), np.array_split(now, rows), strict=True):
        blocks = np.array_split(strip, columns, axis=1), np.array_split(strip_now, columns, axis=1)
        for one, other in zip(*blocks, strict=True):
            if float(one.std()) >= least:
                found.append(_correlation(one, other) > _BLOCK_LIKE)
    return sum(found) / len(found) if found else 0.0


def _correlation(one: ViewMap, other: ViewMap) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum()) / max(1e-9, float(np.linalg.norm(one) * np.linalg.norm(other)))


@cache
def _counts(height: int, width: int) -> npt.NDArray[np.float64]:
    """How many places two maps have in common under each shift; at least 1."""
    size = (_room(height), _room(width))
    ones = np.fft.rfft2(np.ones((height, width)), size)
    return np.asarray(np.maximum(np.fft.irfft2(np.conj(ones) * ones, size), 1.0), np.float64)


def _room(side: int) -> int:
    """Enough that nothing wraps around, and quick to transform."""
    return -(-2 * side // 32) * 32


def _signed(index: int, size: int) -> int:
    return index if index < size // 2 else index - size

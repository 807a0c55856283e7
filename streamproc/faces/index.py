"""Exact search in memory: one matrix of unit vectors for each collection, readable while it is written."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamproc.core.vision import FloatArray

Numbers = npt.NDArray[np.int64]
_FIRST_ROWS: Final = 256
_BLOCK_ROWS: Final = 65_536
_FEW: Final = 100_000


@dataclass(frozen=True, slots=True)
class Hits:
    """The faces that resemble one query, most similar first."""

    numbers: Numbers
    """(K,) sequence numbers of the store."""
    cosines: FloatArray


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The index at one moment. Later additions do not show; a deleted face is gone from here at once."""

    vectors: FloatArray
    """(N, D) float32, unit length; a deleted row is all zero."""
    numbers: Numbers
    """(N,) sequence numbers, ascending."""
    alive: npt.NDArray[np.bool_]

    def search(self, queries: FloatArray, least: float, limit: int) -> list[Hits]:
        """For each of the (Q, D) queries the at most ``limit`` faces with a cosine of ``least`` or more."""
        rows: list[list[npt.NDArray[np.intp]]] = [[] for _ in queries]
        values: list[list[FloatArray]] = [[] for _ in queries]
        for start in range(0, len(self.numbers) if len(queries) else 0, _BLOCK_ROWS):
            cosines = _cosines(self.vectors[start : start + _BLOCK_ROWS], queries)
            for query in range(len(queries)):
                best = _top(cosines[:, query], least, limit)
                rows[query].append(best + start)
                values[query].append(cosines[best, query])
        return [self._hits(rows[query], values[query], limit) for query in range(len(queries))]

    def _hits(self, rows: list[npt.NDArray[np.intp]], values: list[FloatArray], limit: int) -> Hits:
        if not rows:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        row, cosine = np.concatenate(rows), np.concatenate(values)
        living = self.alive[row]
        row, cosine = row[living], cosine[living]
        # Equal cosines (the same photo twice) in order of enrolment, so that an answer never changes by itself.
        order = np.lexsort((row, -cosine))[:limit]
        return Hits(self.numbers[row[order]], cosine[order])


def _cosines(block: FloatArray, queries: FloatArray) -> FloatArray:
    """(rows, Q). Query by query while that is little work: a matrix product would wake more threads than it is worth."""
    if len(queries) == 1 or len(block) * len(queries) <= _FEW:
        return np.stack([block @ query for query in queries], axis=1)
    return np.asarray(block @ queries.T)


def _top(cosines: FloatArray, least: float, limit: int) -> npt.NDArray[np.intp]:
    rows = np.flatnonzero(cosines >= least)
    if len(rows) > limit:
        rows = rows[np.argpartition(cosines[rows], -limit)[-limit:]]
    return rows


class FaceIndex:
    """The vectors of one collection. Any thread may add, remove and take snapshots."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._lock = threading.Lock()
        self._vectors: FloatArray = np.zeros((_FIRST_ROWS, dimensions), np.float32)
        self._numbers: Numbers = np.zeros(_FIRST_ROWS, np.int64)
        self._alive = np.zeros(_FIRST_ROWS, np.bool_)
        self._count = 0

    def __len__(self) -> int:
        return int(self._alive[: self._count].sum())

    @property
    def last(self) -> int:
        """The highest sequence number that was ever added, 0 for none."""
        with self._lock:
            return int(self._numbers[self._count - 1]) if self._count else 0

    def snapshot(self) -> Snapshot:
        """Cheap: nothing is copied. Rows are only ever appended behind its end, or zeroed when their face is deleted."""
        with self._lock:
            return Snapshot(self._vectors[: self._count], self._numbers[: self._count], self._alive[: self._count])

    def take(self, numbers: Numbers) -> FloatArray:
        """(K, D) copies of the vectors of these faces; zero for one that is not there."""
        with self._lock:
            rows, found = self._rows(numbers)
            taken = self._vectors[rows].copy() if self._count else np.zeros((len(numbers), self.dimensions), np.float32)
            taken[~found] = 0
            return taken

    def reserve(self, rows: int) -> None:
        """Make room for so many faces at once, instead of growing step by step."""
        with self._lock:
            if rows > len(self._numbers):
                self._grow(rows)

    def add(self, numbers: Numbers, vectors: FloatArray) -> None:
        """Append (N, D) unit vectors under ascending numbers; those not above ``last`` are there already and left out."""
        with self._lock:
            fresh = numbers > (self._numbers[self._count - 1] if self._count else 0)
            numbers, vectors = numbers[fresh], vectors[fresh]
            needed = self._count + len(numbers)
            if needed > len(self._numbers):
                self._grow(max(needed, int(len(self._numbers) * 1.5)))
            where = slice(self._count, needed)
            self._vectors[where], self._numbers[where], self._alive[where] = vectors, numbers, True
            self._count = needed

    def keep(self, numbers: Numbers) -> None:
        """Forget every face that is not among ``numbers``: their rows are zeroed at once, for every snapshot too."""
        with self._lock:
            gone = self._alive[: self._count] & ~np.isin(self._numbers[: self._count], numbers)
            self._alive[: self._count][gone] = False
            self._vectors[: self._count][gone] = 0
            living = int(self._alive[: self._count].sum())
            if self._count > _FIRST_ROWS and living < 0.7 * self._count:
                self._compact()

    def _rows(self, numbers: Numbers) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        known = self._numbers[: self._count]
        rows = np.minimum(np.searchsorted(known, numbers), max(self._count - 1, 0))
        if not self._count:
            return rows, np.zeros(len(numbers), np.bool_)
        return rows, (known[rows] == numbers) & self._alive[rows]

    def _grow(self, rows: int) -> None:
        self._move(np.arange(self._count), rows)

    def _compact(self) -> None:
        rows = np.flatnonzero(self._alive[: self._count])
        self._move(rows, max(_FIRST_ROWS, len(rows)))

    def _move(self, kept: npt.NDArray[np.intp], capacity: int) -> None:
        """Into new arrays; the old ones live as long as somebody holds a snapshot of them."""
        vectors = np.zeros((capacity, self.dimensions), np.float32)
        numbers, alive = np.zeros(capacity, np.int64), np.zeros(capacity, np.bool_)
        count = len(kept)
        vectors[:count], numbers[:count], alive[:count] = self._vectors[kept], self._numbers[kept], self._alive[kept]
        self._vectors, self._numbers, self._alive, self._count = vectors, numbers, alive, count

"""Who is somebody from before: people on both sides of a cut or a fade, told by what they look like and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.logic.boxes import Floats

SURE = 0.25
"""Most cosine distance of two appearances that are taken for one person's. In TUD-Stadtmitte the first and the last third of a path were 0.19 apart
(half of 7 paths), those of two people 0.43 at least (40 pairs)."""
CLEAR = 0.1
"""So much farther away is everybody else who could be meant, on either side."""
LEAST_LOOKS = 3
"""Appearances that a path must have to be judged by them."""


@dataclass(frozen=True, slots=True)
class Path:
    """One person from one cut or fade to the next."""

    stretch: tuple[int, ...]
    """Ascends at every cut and fade."""
    first_s: float
    last_s: float
    looks: int
    """How many appearances were seen."""
    vector: Floats
    """(D,) unit vector, their mean; anything where there were none."""


def numbered(paths: Sequence[Path]) -> list[int]:
    """For each path the number of its person, 0, 1, 2... by first appearance. Those of one stretch are different people.

    A path is somebody from before where they are each other's nearest, surely near, and nobody else is nearly as near.
    """
    order = sorted(range(len(paths)), key=lambda place: (paths[place].first_s, place))
    numbers = [-1] * len(paths)
    last: dict[int, Path] = {}
    for stretch in sorted({path.stretch for path in paths}):
        new = [place for place in order if paths[place].stretch == stretch]
        again = _again({place: paths[place] for place in new}, last)
        for place in new:
            numbers[place] = again.get(place, len(last))
            last[numbers[place]] = paths[place]
    return numbers


def _again(new: Mapping[int, Path], known: Mapping[int, Path]) -> dict[int, int]:
    """Which of ``known`` each of ``new`` is, by their keys."""
    rows = [key for key, path in new.items() if path.looks >= LEAST_LOOKS]
    columns = [key for key, path in known.items() if path.looks >= LEAST_LOOKS]
    if not rows or not columns:
        return {}
    apart = 1 - np.stack([new[key].vector for key in rows]) @ np.stack([known[key].vector for key in columns]).T
    found = {}
    for row, column in zip(*np.nonzero(apart <= SURE), strict=True):
        others = np.concatenate([np.delete(apart[row], column), np.delete(apart[:, column], row)])
        gone = known[columns[column]].last_s < new[rows[row]].first_s
        if gone and others.min(initial=np.inf) >= apart[row, column] + CLEAR:
            found[rows[row]] = columns[column]
    return found

"""Follows people through a video that is known to its end: short sure pieces first, then the pieces that fit, then one smooth path each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from streamproc.logic.boxes import Boxes, Floats, iou
from streamproc.logic.steady import (
    Array,
    MotionPolicy,
    State,
    ahead,
    begin,
    corrected,
    passed,
    passed_back,
    smoothed,
    stacked,
    unlikeness,
)

_NEVER = 1e6


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in one picture."""

    at_s: float
    boxes: Boxes
    """(N, 4) corners in one square unit (say, picture heights)."""
    scores: Floats
    """(N,) 0..1."""


@dataclass(frozen=True, slots=True)
class OfflinePolicy:
    """How a video's boxes become tracks."""

    low: float = 0.7
    match: float = 0.2
    pause_s: float = 0.2
    gaps_s: tuple[float, ...] = (0.4, 1.0, 2.5)
    link: float = 2.0
    gap_cost: float = 0.5
    hits: int = 3
    least_s: float = 0.25
    mean: float = 0.85
    fill_s: float = 2.0
    unsure: float = 0.08
    motion: MotionPolicy = field(default_factory=lambda: MotionPolicy(accelerate=0.7))
    gather: MotionPolicy = field(default_factory=lambda: MotionPolicy(accelerate=2.0, swell=1.0))
    smooth: MotionPolicy = field(default_factory=lambda: MotionPolicy(measure=0.09))


@dataclass(frozen=True, slots=True)
class Piece:
    """Detections of one person: number of the look, row in it, time, box as middle and size, score."""

    looks: npt.NDArray[np.intp]
    rows: npt.NDArray[np.intp]
    times: Array
    boxes: Array
    scores: Array

    @staticmethod
    def joined(pieces: Sequence[Piece]) -> Piece:
        columns = zip(*((p.looks, p.rows, p.times, p.boxes, p.scores) for p in pieces), strict=True)
        return Piece(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True, slots=True)
class Track:
    """One person's path."""

    looks: npt.NDArray[np.intp]
    """(M,) numbers of the looks, ascending."""
    rows: npt.NDArray[np.intp]
    """(M,) which detection of that look; -1 where none was and the person is taken to be there all the same."""
    boxes: Boxes
    """(M, 4) corners."""
    scores: Floats
    """(M,) of the detections; between two of them the lower one."""


def follow(looks: Sequence[Look], policy: OfflinePolicy | None = None) -> list[Track]:
    """Tracks by first appearance. Times of ``looks`` ascend."""
    policy = policy or OfflinePolicy()
    pieces = linked(gathered(looks, policy), policy)
    times = np.array([look.at_s for look in looks], np.float64)
    tracks = [finished(piece, times, policy) for piece in pieces if _worth(piece, policy)]
    return sorted(tracks, key=lambda track: (track.looks[0], -track.scores[0]))


def gathered(looks: Sequence[Look], policy: OfflinePolicy) -> list[Piece]:
    """Boxes that follow one another without doubt."""
    live: list[tuple[State, float, list[tuple[int, int]]]] = []
    done: list[list[tuple[int, int]]] = []
    for number, look in enumerate(looks):
        open_rows = np.flatnonzero(look.scores >= policy.low)
        boxes = middles(look.boxes[open_rows])
        states = stacked([state for state, _, _ in live]) if live else None
        taken: set[int] = set()
        if states is not None and len(boxes):
            gone = np.array([[look.at_s - seen] for _, seen, _ in live])
            come = ahead(states, gone, policy.gather)
            overlap = iou(corners(come.place), look.boxes[open_rows]).astype(np.float64)
            for a, b in zip(*linear_sum_assignment(-overlap), strict=True):
                if overlap[a, b] < policy.match:
                    continue
                state = corrected(come.take(a), boxes[b], policy.gather)
                live[a] = (state, look.at_s, [*live[a][2], (number, int(open_rows[b]))])
                taken.add(int(b))
        for b in range(len(boxes)):
            if b not in taken:
                live.append((begin(boxes[b], policy.gather), look.at_s, [(number, int(open_rows[b]))]))
        done += [items for _, seen, items in live if look.at_s - seen > policy.pause_s + 1e-6]
        live = [each for each in live if look.at_s - each[1] <= policy.pause_s + 1e-6]
    return [_piece(items, looks) for items in [*done, *(items for _, _, items in live)]]


def _piece(items: Sequence[tuple[int, int]], looks: Sequence[Look]) -> Piece:
    numbers, rows = (np.array(column, np.intp) for column in zip(*items, strict=True))
    boxes = np.stack([looks[number].boxes[row] for number, row in items])
    scores = np.array([looks[number].scores[row] for number, row in items], np.float64)
    times = np.array([looks[number].at_s for number, _ in items], np.float64)
    return Piece(numbers, rows, times, middles(boxes), scores)


def linked(pieces: Sequence[Piece], policy: OfflinePolicy) -> list[Piece]:
    """Pieces that go on in one another, joined; short gaps are decided first."""
    pieces = sorted(pieces, key=lambda piece: piece.times[0])
    for most in policy.gaps_s:
        for _ in range(2):
            ends = stacked([passed(p.times, p.boxes, policy.motion).take(-1) for p in pieces]) if pieces else None
            if ends is None or len(pieces) < 2:
                return list(pieces)
            starts = stacked([passed_back(p.times, p.boxes, policy.motion).take(0) for p in pieces])
            last = np.array([piece.times[-1] for piece in pieces])
            first = np.array([piece.times[0] for piece in pieces])
            gap = first[None, :] - last[:, None]
            a, b = np.nonzero((gap > 1e-6) & (gap <= most + 1e-6))
            cost = np.full(gap.shape, policy.link + 1e-3)
            if len(a):
                g = gap[a, b]
                found = unlikeness(ends.take(a), starts.take(b), g[:, None], policy.motion) + policy.gap_cost * g
                cost[a, b] = np.minimum(found, policy.link + 1e-3)
            pairs = [(i, j) for i, j in zip(*linear_sum_assignment(cost), strict=True) if cost[i, j] <= policy.link]
            if not pairs:
                break
            pieces = _chained(pieces, dict(pairs))
    return list(pieces)


def _chained(pieces: Sequence[Piece], follows: dict[int, int]) -> list[Piece]:
    out = []
    for head in sorted(set(range(len(pieces))) - set(follows.values())):
        chain = [head]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        out.append(Piece.joined([pieces[index] for index in chain]))
    return out


def _worth(piece: Piece, policy: OfflinePolicy) -> bool:
    return bool(
        len(piece.looks) >= policy.hits
        and piece.times[-1] - piece.times[0] >= policy.least_s
        and piece.scores.mean() >= policy.mean
    )


def finished(piece: Piece, times: Array, policy: OfflinePolicy) -> Track:
    """The smooth path of a piece, with the looks between where the person must have been."""
    inside = np.arange(piece.looks[0], piece.looks[-1] + 1)
    boxes, unsure = smoothed(piece.times, piece.boxes, times[inside], policy.smooth)
    place = np.searchsorted(piece.looks, inside)
    hit = piece.looks[place] == inside
    before = np.where(hit, place, place - 1)
    gap = np.where(hit, 0.0, piece.times[place] - piece.times[before])
    keep = hit | ((gap <= policy.fill_s + 1e-6) & (unsure <= policy.unsure))
    rows = np.where(hit, piece.rows[place], -1)
    scores = np.minimum(piece.scores[place], piece.scores[before])
    return Track(inside[keep], rows[keep], corners(boxes)[keep], scores[keep].astype(np.float32))


def middles(boxes: npt.ArrayLike) -> Array:
    """(N, 4) middle x, middle y, width, height of corners."""
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], axis=1)


def corners(boxes: Array) -> Boxes:
    """(N, 4) corners of middles and sizes."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1).astype(np.float32)

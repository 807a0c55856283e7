"""Follows people through a video that is known to its end: short sure pieces first, then the pieces that fit, then one smooth path each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from streamproc.logic.assignment import Rows, cheapest_matches
from streamproc.logic.boxes import Boxes, Floats, iou
from streamproc.logic.kalman import (
    Array,
    MotionPolicy,
    State,
    backward_pass,
    begin,
    passed,
    predict,
    rts_smooth,
    stacked,
    unlikeness,
    update,
)

_REPEATS = 2
"""Two links in a row of one piece need two passes."""
_MEMORY = 60
"""Detections before a gap that say where a person is going; older ones no longer count."""
_STRAIGHT = 4
"""Looks that say where a path goes on to before its first and after its last."""
_SAME_TOUCH_S = 0.3
"""Two touches with a shorter break are one."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in one picture."""

    at_s: float
    boxes: Boxes
    """(N, 4) corners in one square unit (say, picture heights)."""
    scores: Floats
    """(N,) 0..1."""
    vectors: Mapping[int, npt.NDArray[np.floating[Any]]] = field(default_factory=dict)
    """Appearance by row of ``boxes``: unit vectors, of as many as one likes."""
    seen: bool = True
    """Somebody looked; False: nothing is known of who was there."""


@dataclass(frozen=True, slots=True)
class OfflinePolicy:
    """How a video's boxes become tracks. Times in seconds; costs are negative log-likelihood ratios, lower is likelier."""

    low: float = 0.7
    """Detections below are ignored: a box that is often wrong costs identities."""
    match: float = 0.2
    """Least overlap (IoU) of a detection with where its piece is expected."""
    pause_s: float = 0.2
    """A piece not seen for so long ends; what follows is for linking to decide."""
    gaps_s: tuple[float, ...] = (0.4, 1.0, 2.5)
    """Longest gap that is bridged, round by round: the sure links first."""
    link: float = -2.0
    """Most that a link may cost."""
    gap_cost: float = 0.5
    """Cost of a second of gap."""
    touch: float = 0.05
    """Where two people's boxes overlap more (IoU), their identities are decided again from both sides."""
    alike: float = 0.5
    """Cosine distance of appearances that speaks neither for nor against one person."""
    alike_slope: float = 12.0
    """Cost of a unit of distance beyond that."""
    alike_most: float = 5.0
    """Appearance never counts more than this, either way."""
    hits: int = 3
    """A track has at least so many detections..."""
    least_s: float = 0.25
    """...over so long a time..."""
    mean: float = 0.85
    """...with this score on average."""
    fill_s: float = 2.0
    """Longest gap in which a person is said to be there unseen..."""
    unsure: float = 0.08
    """...as long as the path is known this well: deviation of the middle in box heights."""
    gather: MotionPolicy = field(default_factory=lambda: MotionPolicy(accelerate=2.0, swell=1.0))
    """Motion while pieces are gathered: ready to follow."""
    motion: MotionPolicy = field(default_factory=lambda: MotionPolicy(measure=0.075, accelerate=0.7))
    """Motion over gaps: people mostly go straight on."""
    smooth: MotionPolicy = field(default_factory=lambda: MotionPolicy(measure=0.09))
    """Motion of the path that is told."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Detections of one person: number of the look, row in it, time, box as middle and size, score."""

    looks: Rows
    rows: Rows
    times: Array
    boxes: Array
    scores: Array
    vectors: Array
    """(N, D) unit vectors of appearance; zeros where there is none."""

    def part(self, which: slice) -> Piece:
        """Some of the detections, in order."""
        looks, rows, times = self.looks[which], self.rows[which], self.times[which]
        return Piece(looks, rows, times, self.boxes[which], self.scores[which], self.vectors[which])

    @staticmethod
    def joined(pieces: Sequence[Piece]) -> Piece:
        return Piece(
            np.concatenate([piece.looks for piece in pieces]),
            np.concatenate([piece.rows for piece in pieces]),
            np.concatenate([piece.times for piece in pieces]),
            np.concatenate([piece.boxes for piece in pieces]),
            np.concatenate([piece.scores for piece in pieces]),
            np.concatenate([piece.vectors for piece in pieces]),
        )


@dataclass(frozen=True, slots=True)
class Track:
    """One person's path."""

    looks: Rows
    """(M,) numbers of the looks, ascending."""
    rows: Rows
    """(M,) which detection of that look; -1 where none was and the person is taken to be there all the same."""
    boxes: Boxes
    """(M, 4) corners."""
    scores: Floats
    """(M,) of the detections; between two of them the lower one."""


def follow(looks: Sequence[Look], policy: OfflinePolicy | None = None) -> list[Track]:
    """Tracks by first appearance. Times of ``looks`` ascend."""
    policy = policy or OfflinePolicy()
    pieces = linked(gathered(looks, policy), policy)
    pieces = linked(parted(pieces, policy), policy)
    times = np.array([look.at_s for look in looks], np.float64)
    seen = np.array([look.seen for look in looks], bool)
    tracks = [_reaching(finished(piece, times, policy), times, seen) for piece in pieces if _worth(piece, policy)]
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
            come = predict(states, gone, policy.gather)
            overlap = iou(corners(come.place), look.boxes[open_rows]).astype(np.float64)
            i, j = np.nonzero(overlap)
            for a, b in cheapest_matches(i, j, -overlap[i, j], 0.0):
                if overlap[a, b] < policy.match:
                    continue
                state = update(come.take(a), boxes[b], policy.gather)
                live[a] = (state, look.at_s, [*live[a][2], (number, int(open_rows[b]))])
                taken.add(b)
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
    size = next((len(vector) for look in looks for vector in look.vectors.values()), 1)
    vectors = np.zeros((len(items), size))
    for index, (number, row) in enumerate(items):
        if row in looks[number].vectors:
            vectors[index] = looks[number].vectors[row]
    return Piece(numbers, rows, times, middles(boxes), scores, vectors)


def linked(pieces: Sequence[Piece], policy: OfflinePolicy) -> list[Piece]:
    """Pieces that go on in one another, joined; short gaps are decided first."""
    pieces = sorted(pieces, key=lambda piece: (piece.times[0], piece.rows[0]))
    for most in policy.gaps_s:
        for _ in range(_REPEATS):
            follows = _links(pieces, most, policy)
            if not follows:
                break
            pieces = _chained(pieces, follows)
    return list(pieces)


def _links(pieces: Sequence[Piece], most: float, policy: OfflinePolicy) -> dict[int, int]:
    """Which piece goes on in which: the cheapest one-to-one choice over gaps of at most ``most`` seconds."""
    if len(pieces) < 2:
        return {}
    first = np.array([piece.times[0] for piece in pieces])
    last = np.array([piece.times[-1] for piece in pieces])
    low, high = np.searchsorted(first, last + 1e-6, "right"), np.searchsorted(first, last + most + 1e-6, "right")
    a = np.repeat(np.arange(len(pieces)), high - low)
    b = np.concatenate([np.arange(i, j) for i, j in zip(low, high, strict=True)])
    if not len(a):
        return {}
    gap = first[b] - last[a]
    ends = stacked([_end(piece, policy) for piece in pieces])
    starts = stacked([_start(piece, policy) for piece in pieces])
    cost = unlikeness(ends.take(a), starts.take(b), gap[:, None], policy.motion) + policy.gap_cost * gap
    return dict(cheapest_matches(a, b, cost + strangeness(pieces, a, b, policy), policy.link))


def _end(piece: Piece, policy: OfflinePolicy) -> State:
    return passed(piece.times[-_MEMORY:], piece.boxes[-_MEMORY:], policy.motion).take(-1)


def _start(piece: Piece, policy: OfflinePolicy) -> State:
    return backward_pass(piece.times[:_MEMORY], piece.boxes[:_MEMORY], policy.motion).take(0)


def strangeness(pieces: Sequence[Piece], a: Rows, b: Rows, policy: OfflinePolicy) -> Array:
    """(M,) how much pieces ``a`` and ``b`` look like different people; negative where they look alike, 0 where nothing is known."""
    sums = np.stack([piece.vectors.sum(0) for piece in pieces])
    length = np.linalg.norm(sums, axis=1)
    unit = sums / np.maximum(length, 1e-9)[:, None]
    apart = 1 - (unit[a] * unit[b]).sum(1)
    worth = np.clip((apart - policy.alike) * policy.alike_slope, -policy.alike_most, policy.alike_most)
    return np.where((length[a] > 0) & (length[b] > 0), worth, 0.0)


def parted(pieces: Sequence[Piece], policy: OfflinePolicy) -> list[Piece]:
    """Pieces cut in the middle of every stretch in which two people touch: there identities are lost."""
    at: dict[int, list[tuple[int, int]]] = {}
    for index, piece in enumerate(pieces):
        for place, look in enumerate(piece.looks.tolist()):
            at.setdefault(look, []).append((index, place))
    near: list[list[int]] = [[] for _ in pieces]
    for items in at.values():
        if len(items) > 1:
            boxes = corners(np.stack([pieces[index].boxes[place] for index, place in items]))
            touching = (iou(boxes, boxes) > policy.touch).sum(1) > 1
            for (index, place), yes in zip(items, touching, strict=True):
                if yes:
                    near[index].append(place)
    out: list[Piece] = []
    for piece, places in zip(pieces, near, strict=True):
        edges = [0, *_middles_of_stretches(places, piece.times), len(piece.looks)]
        out += [piece.part(slice(a, b)) for a, b in pairwise(edges) if b > a]
    return out


def _middles_of_stretches(places: Sequence[int], times: Array) -> list[int]:
    """One place for each run of ``places`` without a longer break in time."""
    runs: list[list[int]] = []
    for place in sorted(places):
        if runs and times[place] - times[runs[-1][-1]] <= _SAME_TOUCH_S:
            runs[-1].append(place)
        else:
            runs.append([place])
    return [run[len(run) // 2] for run in runs]


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
    boxes, unsure = rts_smooth(piece.times, piece.boxes, times[inside], policy.smooth)
    place = np.searchsorted(piece.looks, inside)
    hit = piece.looks[place] == inside
    before = np.where(hit, place, place - 1)
    gap = np.where(hit, 0.0, piece.times[place] - piece.times[before])
    keep = hit | ((gap <= policy.fill_s + 1e-6) & (unsure <= policy.unsure))
    rows = np.where(hit, piece.rows[place], -1)
    scores = np.minimum(piece.scores[place], piece.scores[before])
    return Track(inside[keep], rows[keep], corners(boxes)[keep], scores[keep].astype(np.float32))


def _reaching(track: Track, times: Array, seen: npt.NDArray[np.bool_]) -> Track:
    """The track with half of the looks on either side at which nobody looked: who is seen at one look and not at the one before came in between."""
    first, last = int(track.looks[0]), int(track.looks[-1])
    known = np.flatnonzero(seen)
    before, after = known[known < first], known[known > last]
    head = (first - int(before[-1])) // 2 if len(before) else first
    tail = (int(after[0]) - last) // 2 if len(after) else len(times) - 1 - last
    parts = [_beyond(track, times, np.arange(first - head, first)), track]
    parts.append(_beyond(track, times, np.arange(last + 1, last + 1 + tail), end=-1))
    return Track(
        np.concatenate([part.looks for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _beyond(track: Track, times: Array, looks: Rows, end: int = 0) -> Track:
    """Where the path goes straight on to from its beginning, or from its ``end`` (-1)."""
    inner = min(_STRAIGHT, len(track.looks) - 1) if end == 0 else max(-1 - _STRAIGHT, -len(track.looks))
    here, there = times[track.looks[end]], times[track.looks[inner]]
    speed = (track.boxes[end] - track.boxes[inner]) / (here - there) if here != there else np.zeros(4)
    boxes = (track.boxes[end] + speed * (times[looks] - here)[:, None]).astype(np.float32)
    scores = np.full(len(looks), track.scores[end], np.float32)
    return Track(looks, np.full(len(looks), -1, np.intp), boxes, scores)


def middles(boxes: npt.ArrayLike) -> Array:
    """(N, 4) middle x, middle y, width, height of corners."""
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], axis=1)


def corners(boxes: Array) -> Boxes:
    """(N, 4) corners of middles and sizes."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1).astype(np.float32)

"""Follows boxes from look to look: two-stage association (sure detections first, then doubtful ones) with a motion model.

The order of the stages follows ByteTrack (Zhang et al. 2022): a doubtful box may carry on a known track but never opens one. Boxes are grown
before they are compared, so that a fast object whose boxes do not touch at 5 looks a second is still followed (Yang et al. 2023, C-BIoU).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamproc.core.vision import Box
from streamproc.logic.assignment import cheapest_matches
from streamproc.logic.boxes import Boxes, Floats, as_boxes, iou

ANY_CLASS = -1
_UNMATCHED = 1e6
"""Cost of a track without a detection: as many as possible are matched."""


@dataclass(frozen=True, slots=True)
class TrackerPolicy:
    """How boxes become tracks."""

    high: float = 0.5
    """Detections at or above are associated first."""
    opens: float = 0.5
    """Detections at or above may open a track."""
    low: float = 0.1
    """Detections below are ignored."""
    match: float = 0.15
    """Least overlap (IoU of the grown boxes) of a sure detection with a track."""
    match_low: float = 0.3
    """The same of a doubtful detection."""
    grow: float = 1.6
    """Boxes are grown by this before they are compared."""
    class_cost: float = 0.3
    """Taken off the overlap where the classes differ."""
    forget_s: float = 1.5
    """A track not seen for so long is dropped."""
    forget_new_s: float = 0.7
    """The same for a track that was seen only once."""


@dataclass
class Tracked:
    """One track after an update."""

    id: int
    box: Box
    """Measured where ``row`` is given, else predicted."""
    since_s: float
    """When its first detection was."""
    seen_s: float
    """When its last detection was."""
    row: int | None
    """The detection of this update that belongs to it; None: not seen this time."""
    hits: int = 1
    """Detections so far."""
    cls: int = ANY_CLASS


@dataclass
class BoxFilter:
    """Constant-velocity Kalman filter of a box's middle and size, each coordinate on its own.

    Noise is in proportion to the box's size, as is usual (SORT and its heirs), so near and far objects are treated alike. Not the filter of
    ``logic.kalman``: that one smooths whole tracks afterwards, this one must not run away while nothing is seen, so its speed dies down.
    """

    _MEASURE: ClassVar = 0.06
    """Deviation of a detector's box, in box heights."""
    _ACCELERATE: ClassVar = 1.6
    """Deviation of the acceleration, in box heights per second squared."""
    _START: ClassVar = 1.0
    """Deviation of the first speed, in box heights per second."""

    _at: npt.NDArray[np.float64]
    """(4,) middle x, y, width, height."""
    _speed: npt.NDArray[np.float64]
    """(4,) the same a second."""
    _p: npt.NDArray[np.float64]
    """(4, 2, 2) covariance of place and speed of each."""

    @classmethod
    def start(cls, box: Box) -> BoxFilter:
        """Of a box that is seen for the first time: its speed is unknown."""
        self = cls(cls._state(box), np.zeros(4), np.zeros((4, 2, 2)))
        self._p = np.tile(np.array([[cls._MEASURE**2, 0.0], [0.0, cls._START**2]]), (4, 1, 1)) * self._scale() ** 2
        return self

    @staticmethod
    def _state(box: Box) -> npt.NDArray[np.float64]:
        return np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2, box.width, box.height], np.float64)

    def _scale(self) -> float:
        return float(max(np.sqrt(max(self._at[2] * self._at[3], 0.0)), 0.01))

    def predict(self, dt: float) -> None:
        """Advance by ``dt`` seconds. Nothing goes on for ever: unconfirmed speed dies away, that of the size at once."""
        self._at = self._at + self._speed * dt
        self._speed = self._speed * np.array([0.85, 0.85, 0.5, 0.5])
        self._at[2:] = np.maximum(self._at[2:], 1e-3)
        step = np.array([[1.0, dt], [0.0, 1.0]])
        noise = np.array([[dt**4 / 4, dt**3 / 2], [dt**3 / 2, dt**2]]) * (self._ACCELERATE * self._scale()) ** 2
        self._p = step @ self._p @ step.T + noise

    def correct(self, box: Box) -> None:
        """Take in a measured box."""
        surprise = self._state(box) - self._at
        gain = self._p[:, :, 0] / (self._p[:, 0, 0] + (self._MEASURE * self._scale()) ** 2)[:, None]
        self._at = self._at + gain[:, 0] * surprise
        self._speed = self._speed + gain[:, 1] * surprise
        self._p = self._p - gain[:, :, None] * self._p[:, 0:1, :]

    @property
    def box(self) -> Box:
        x, y, width, height = (float(value) for value in self._at)
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


@dataclass
class _Track:
    view: Tracked
    filter: BoxFilter


@dataclass
class Tracker:
    """Deterministic; all its fields are its state (``structure.to_document``). Times are seconds of one clock that never goes back."""

    policy: TrackerPolicy = field(default_factory=TrackerPolicy)
    _tracks: list[_Track] = field(default_factory=list)
    _next: int = 1
    _at_s: float | None = None

    def reset(self) -> None:
        """Forget all tracks (after a gap); ids go on."""
        self._tracks = []
        self._at_s = None

    def update(
        self, boxes: Boxes, scores: Floats, at_s: float, classes: npt.NDArray[np.int32] | None = None
    ) -> list[Tracked]:
        """Take in the detections of the picture at ``at_s``: (N, 4) corners, (N,) scores in 0..1, (N,) classes (ANY_CLASS fits all).

        Returns every track that is alive, oldest first.
        """
        boxes = as_boxes(boxes)
        scores = np.asarray(scores, np.float32)
        classes = np.full(len(boxes), ANY_CLASS, np.int32) if classes is None else classes
        self._predict(at_s)
        sure = np.flatnonzero(scores >= self.policy.high)
        doubtful = np.flatnonzero((scores < self.policy.high) & (scores >= self.policy.low))
        free = list(range(len(self._tracks)))
        left = np.flatnonzero(scores >= self.policy.opens).tolist()
        for rows, least in ((sure, self.policy.match), (doubtful, self.policy.match_low)):
            pairs = self._pairs(free, rows, boxes, classes, least)
            for track, row in pairs:
                self._hit(self._tracks[track], row, boxes, classes, at_s)
            taken = {track for track, _ in pairs}
            free = [track for track in free if track not in taken]
            matched = {row for _, row in pairs}
            left = [row for row in left if row not in matched]
        self._forget(at_s)
        for row in left:
            box = Box(*(float(value) for value in boxes[row]))
            view = Tracked(self._next, box, at_s, at_s, row, cls=int(classes[row]))
            self._tracks.append(_Track(view, BoxFilter.start(box)))
            self._next += 1
        return [track.view for track in self._tracks]

    def _predict(self, at_s: float) -> None:
        dt = 0.0 if self._at_s is None else max(0.0, at_s - self._at_s)
        self._at_s = at_s
        for track in self._tracks:
            track.filter.predict(dt)
            track.view.box = track.filter.box
            track.view.row = None

    def _pairs(
        self, free: list[int], rows: npt.NDArray[np.intp], boxes: Boxes, classes: npt.NDArray[np.int32], least: float
    ) -> list[tuple[int, int]]:
        """The best one-to-one matches of tracks and detections with an overlap of at least ``least``."""
        if not free or not len(rows):
            return []
        known = as_boxes([self._tracks[index].view.box for index in free])
        overlap = iou(_grow(known, self.policy.grow), _grow(boxes[rows], self.policy.grow)).astype(np.float64)
        mine = np.array([self._tracks[index].view.cls for index in free])
        differ = (mine[:, None] != classes[rows][None, :]) & (mine[:, None] >= 0) & (classes[rows][None, :] >= 0)
        worth = overlap - self.policy.class_cost * differ
        a, b = np.nonzero(worth >= least)
        return [(free[x], int(rows[y])) for x, y in cheapest_matches(a, b, 1.0 - worth[a, b], _UNMATCHED)]

    @staticmethod
    def _hit(track: _Track, row: int, boxes: Boxes, classes: npt.NDArray[np.int32], at_s: float) -> None:
        measured = Box(*(float(value) for value in boxes[row]))
        track.filter.correct(measured)
        view = track.view
        view.box, view.row, view.seen_s = measured, row, at_s
        view.hits += 1
        if classes[row] >= 0:
            view.cls = int(classes[row])

    def _forget(self, at_s: float) -> None:
        patience = self.policy.forget_s, self.policy.forget_new_s
        self._tracks = [
            track
            for track in self._tracks
            if at_s - track.view.seen_s <= patience[0 if track.view.hits > 1 else 1] + 1e-6
        ]


def _grow(boxes: Boxes, factor: float) -> Boxes:
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * factor
    return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)

"""What was seen: arrays of boxes, and faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class Box(NamedTuple):
    """Corners in 0..1 of the upright frame. May reach beyond the frame where an object is cut by its border."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def clipped(self) -> Box:
        """The part inside the frame."""
        left, top, right, bottom = (min(1.0, max(0.0, value)) for value in self)
        return Box(left, top, right, bottom)


@dataclass(frozen=True, slots=True)
class Detections:
    """N objects found in one picture, as parallel arrays (read-only)."""

    boxes: FloatArray
    """(N, 4) float32 corners in 0..1 of the picture that was looked at."""
    scores: FloatArray
    """(N,) float32, the model's own score in 0..1."""
    classes: npt.NDArray[np.int32]
    """(N,) int32 index into ``names``."""
    names: tuple[str, ...]
    """Class names of the detector that found them."""

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.classes.shape != (count,):
            raise ValueError(
                f"expected boxes ({count}, 4) and classes ({count},), got {self.boxes.shape} and {self.classes.shape}"
            )
        for array in (self.boxes, self.scores, self.classes):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls, names: Sequence[str] = ()) -> Detections:
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), tuple(names))

    def take(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | Sequence[int]) -> Detections:
        """The rows chosen by a mask or by indexes."""
        where = np.asarray(index)
        if where.size == 0:
            where = where.astype(np.intp)
        return Detections(self.boxes[where], self.scores[where], self.classes[where], self.names)

    def name(self, row: int) -> str:
        return self.names[int(self.classes[row])]

    def box(self, row: int) -> Box:
        return Box(*(float(value) for value in self.boxes[row]))


@dataclass(frozen=True, slots=True)
class FaceBox:
    """One detected face."""

    box: Box
    score: float
    """The detector's score in 0..1."""
    landmarks: FloatArray
    """(5, 2) x, y in 0..1 of the frame: image-left eye, image-right eye, nose, image-left and image-right mouth corner."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees. Yaw: positive when the face turns to its own left (image right); pitch: positive looks up; roll: positive clockwise."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """0..100 each, as the service reports them, plus what the quality gate is decided by."""

    brightness: float
    sharpness: float
    eye_distance_px: float
    pose: Pose
    reasons: tuple[str, ...] = field(default=())
    """The service's words for what is wrong: EXTREME_POSE, LOW_SHARPNESS, SMALL_BOUNDING_BOX ... Empty: usable."""

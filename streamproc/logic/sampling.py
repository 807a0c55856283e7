"""Which frames are looked at: a grid in media time, so that the same frames are chosen however fast they are read."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

from streamproc.core.errors import StateDamaged

_GOLDEN = Fraction(618, 1000)


def staggered_phase(index: int, fps: Fraction) -> Fraction:
    """Where in the sampling interval the ``index``-th feed is looked at (seconds), so that feeds do not all fall due at once."""
    return (index * _GOLDEN % 1) / fps


class Sampler:
    """Says which frames of one feed are due. The first frame and the first after a gap always are; then one in each interval.

    Its state: rate, phase, and the number of the interval whose frame was taken last.
    """

    def __init__(self, fps: float, phase: Fraction = Fraction(0)) -> None:
        self.fps = Fraction(fps).limit_denominator(1000)
        self.phase = phase
        self._taken: int | None = None

    def due(self, media: Fraction) -> bool:
        """Should the frame at ``media`` be looked at? Does not take it."""
        return self._taken is None or self._slot(media) > self._taken

    def take(self, media: Fraction) -> None:
        """The frame at ``media`` is looked at (or dropped for good)."""
        self._taken = self._slot(media)

    def next_due(self) -> Fraction | None:
        """The earliest media time that is due; None: any."""
        return None if self._taken is None else (self._taken + 1) / self.fps + self.phase

    def later_slot(self, media: Fraction, newest: Fraction) -> bool:
        """Does ``newest`` belong to a later interval than ``media``, so that looking at ``media`` would be looking back?"""
        return self._slot(newest) > self._slot(media)

    def retune(self, fps: float) -> None:
        """Another rate from the next frame on."""
        self.fps = Fraction(fps).limit_denominator(1000)
        self._taken = None

    def reset(self) -> None:
        """After a gap the next frame is due."""
        self._taken = None

    def snapshot(self) -> dict[str, Any]:
        """Its state, for a state document (``state_codec``)."""
        return {"fps": self.fps, "phase": self.phase, "taken": self._taken}

    def restore(self, state: Any) -> None:
        """Go on from a ``snapshot``. Raises StateDamaged where ``state`` is none."""
        match state:
            case {"fps": Fraction() as fps, "phase": Fraction() as phase, "taken": None | int() as taken} if fps > 0:
                self.fps, self.phase, self._taken = fps, phase, taken
            case _:
                raise StateDamaged("this is not the state of a sampler")

    def _slot(self, media: Fraction) -> int:
        return floor((media - self.phase) * self.fps)

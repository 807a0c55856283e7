"""Since when nothing moves before a camera, by what was analysed and by its keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from streamproc.core.media import Frame
from streamproc.logic.motion import MotionWatch, thumbnail_size

CALM_S = Fraction(1)
"""Seconds of media time without anything moving after which a camera may sleep, beyond the second that the motion gate itself stays open."""
CALM_EAGER_S = Fraction(0)


class Stillness:
    """Media times are the source's."""

    def __init__(self) -> None:
        self.seen_at: Fraction | None = None
        """When a frame was last analysed; None: none was."""
        self._active_at: Fraction | None = None
        self._stills = MotionWatch()

    def analysed(self, media: Fraction, active: bool) -> None:
        """``active``: something moves, or is being decided."""
        self.seen_at = media
        if active:
            self._active_at = media

    def begin_anew(self) -> None:
        """A calm second is asked for from here on."""
        self._active_at = self.seen_at

    def calm(self, media: Fraction, eager: bool) -> bool:
        """Whether nothing has moved for long enough. ``eager``: as soon as possible."""
        return self._active_at is None or media - self._active_at >= (CALM_EAGER_S if eager else CALM_S)

    def remember(self, frames: Sequence[Frame]) -> None:
        """The last of them is what the next keyframe is compared with."""
        self._stills.reset()
        for frame in frames[-1:]:
            self.shows_another(frame)

    def shows_another(self, frame: Frame) -> bool:
        """Whether the picture is another one than that before."""
        motion = self._stills.update(frame.picture.luma(*thumbnail_size(frame.picture.width, frame.picture.height)))
        self._stills.looked()
        return motion.worth and not motion.first

    def reset(self) -> None:
        """Media time begins anew."""
        self.seen_at = self._active_at = None
        self._stills.reset()

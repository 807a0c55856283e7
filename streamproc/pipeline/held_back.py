"""What is held back while a camera sleeps: until when at most, and what of it is still to be analysed after the wake."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from streamproc.core.media import Moment
from streamproc.logic.keyframes import KeyframeRule


class HeldBack:
    """Of one camera. Media times are the source's."""

    def __init__(self) -> None:
        self.until: Fraction | None = None
        """Media time at which the session wants a frame in any case."""
        self.undecoded = 0
        """Packets that never had to be decoded."""
        self._backlog_until: Fraction | None = None

    def expired(self, media: Fraction) -> bool:
        """Whether a frame is wanted by now."""
        return self.until is not None and media >= self.until

    def given_up(self, media: Fraction, undecoded: int) -> None:
        """The keyframe at ``media`` showed nothing new; ``undecoded`` packets before it are not needed any more."""
        self.undecoded += undecoded
        self._backlog_until = media

    def released(self, newest: Fraction | None) -> None:
        """The camera wakes. ``newest``: media time of the newest picture that was held back; None: nothing was."""
        self._backlog_until = newest

    def has(self, at: Moment, keyframes: KeyframeRule) -> bool:
        """Whether this frame was held back, so that it is analysed although newer ones are there."""
        if self._backlog_until is None or at.media > self._backlog_until:
            return False
        return keyframes.fresh((datetime.now(UTC) - at.wall).total_seconds())

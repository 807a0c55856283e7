"""Keyframe presence: a camera of which everything has been announced is decoded at its keyframes only, where these are enough to tell who is there."""

from __future__ import annotations

from fractions import Fraction

from streamproc.logic.keyframes import KeyframeRule


class KeyframePresence:
    """Whether a camera sleeps because all that is asked for has been announced, and not because nothing moves.

    Its keyframes are analysed; what its packets say of movement is of no interest. When a keyframe does not show for sure what is kept in
    view, or something else could be told, the camera is decoded as ever from that keyframe on.
    """

    def __init__(self) -> None:
        self.within: Fraction | None = None
        """By the newest analysis: pictures that show presence may lie so many seconds apart; None: there is more to be told than presence."""
        self.enough = False
        """The camera sleeps for this."""

    @property
    def sleep(self) -> tuple[str, str]:
        """Mode of a camera that sleeps, and why it does, for Describe."""
        return ("keyframes", "all that is asked for is announced") if self.enough else ("asleep", "nothing moves")

    def by(self, keyframes: KeyframeRule) -> bool:
        """Whether pictures at a camera's keyframes are enough to tell all that could be told."""
        if self.within is None or keyframes.interval is None:
            return False
        return not keyframes.distant and keyframes.interval <= self.within

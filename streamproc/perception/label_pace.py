"""How long a label's evidence counts and its track lives, by how often a feed's frames come. Pure."""

from __future__ import annotations

from dataclasses import replace

from streamproc.config.processor import LabelSettings
from streamproc.logic.evidence import BeliefPolicy
from streamproc.logic.tracker import TrackerPolicy
from streamproc.perception.candidates import NOISE

_SLOW, _SLOW_S = 1.5, 1.0
"""A feed is slower than asked where its pictures come more than so many times (and so many seconds) further apart; a dropped frame is no such."""


class LabelPace:
    """The rules for beliefs and tracks at the feed's pace: ``belief`` and ``tracking``."""

    def __init__(self, settings: LabelSettings) -> None:
        self._settings = settings
        self._asked_fps = self._fps = settings.fps
        self.belief, self.tracking = _paced(settings, settings.fps)

    def asked(self, fps: float) -> None:
        """The feed is asked for frames at another rate."""
        self._asked_fps = fps
        self._go(fps)

    def spaced(self, seconds: float) -> bool:
        """Frames come so far apart. Whether that changes the rules."""
        slow = seconds > _SLOW * (1 / self._asked_fps) + _SLOW_S
        fps = 1 / seconds if slow else self._asked_fps
        if abs(fps - self._fps) <= 0.2 * self._fps:
            return False
        self._go(fps)
        if slow and seconds > self._settings.evidence.window:
            # Each picture shows another scene: what moves is elsewhere by the next, so each is decided on what it shows.
            self.belief = replace(self.belief, samples=1)
        return True

    def _go(self, fps: float) -> None:
        self._fps = fps
        self.belief, self.tracking = _paced(self._settings, fps)


def _paced(settings: LabelSettings, fps: float) -> tuple[BeliefPolicy, TrackerPolicy]:
    """A feed that is looked at rarely still gets its samples, and its tracks live from look to look."""
    step_s, asked = 1 / fps, settings.evidence
    window_s = max(asked.window, (asked.samples + 1) * step_s)
    tracking = TrackerPolicy(
        high=0.5, opens=NOISE, low=0.1, forget_s=max(1.5, 3.5 * step_s), forget_new_s=max(0.7, 2.5 * step_s)
    )
    return BeliefPolicy(samples=asked.samples, window_s=window_s), tracking

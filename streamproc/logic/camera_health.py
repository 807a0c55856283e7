"""Health of a camera by its pictures and their pace: conditions that begin and end, each with hold-off. A pure state machine.

The camera is compared with itself: a slowly moving memory of its view, contrast and detail, learned while the view stands. So night, rain,
another exposure or infra-red light, which change how the same edges look, are none of the conditions.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from streamproc.logic.motion import Grey
from streamproc.logic.picture_health import PictureFigures, blended, likeness, measure, still_sharp
from streamproc.logic.view_alignment import ShiftWatch, unchanged_share


class Condition(StrEnum):
    """What may be wrong with a camera."""

    OFFLINE = "offline"
    FROZEN = "frozen"
    COVERED = "covered"
    DEFOCUSED = "defocused"
    MOVED = "moved"
    LOW_FPS = "low_fps"
    CLOCK = "clock"


_GRAINY, _GRAIN = 1.5, 0.005
"""A picture with more than so many times the usual grain (and a little) is grainy."""


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """When a condition begins and ends. Times are seconds; tried on the corpus and on sequences made of it (docs/explain.md)."""

    every_s: float = 1.0
    """Least time between two pictures that are measured."""
    learn_s: float = 6.0
    """The view must have stood for so long before anything is compared with it."""
    hold_s: float = 8.0
    """A condition must hold for so long, in at least ``samples`` pictures, before it begins..."""
    samples: int = 3
    clear_s: float = 4.0
    """...and not hold for so long before it ends."""
    frozen_s: float = 14.0
    """No pixel changed for so long."""
    still: float = 0.01
    """Mean change, grey levels, under which two pictures are the same one."""
    same_view: float = 0.5
    """Likeness of edges from which the view is the one that was learned..."""
    other_view: float = 0.25
    """...and under which it is another."""
    steady: float = 0.4
    """Likeness of edges of two pictures in a row from which the camera rests."""
    unchanged: float = 0.15
    """Share of the picture that is as ever from which something stands before the camera rather than that it was turned."""
    flat: float = 4.0
    """Contrast, grey levels, under which a picture shows nothing..."""
    smooth: float = 0.25
    """...or gradient, as a share of the usual one."""
    blurred: float = 0.5
    """Detail, as a share of the usual one, under which a picture is out of focus."""
    still_sharp: float = 0.3
    """Share of the picture that is as sharp as ever from which something smooth stands before the camera instead."""
    window_s: float = 8.0
    """Frames are counted over so long."""
    slow: float = 0.5
    """Frames a second, as a share of the usual ones, that are too few."""
    off_s: float = 5.0
    """A clock is wrong from so many seconds on."""
    adopt_s: float = 900.0
    """Another view, or less detail, that lasts so long is taken for the usual."""


@dataclass(frozen=True, slots=True)
class HealthChange:
    """A condition begins or is over."""

    condition: Condition
    active: bool
    measured: float | None
    detail: str


@dataclass
class _Watch:
    """Hold-off of one condition."""

    since: float | None = None
    """When it began to hold, or, while active, not to hold."""
    samples: int = 0
    active: bool = False

    def update(self, holds: bool, now_s: float, policy: HealthPolicy) -> bool | None:
        """True: it begins. False: it ends. None: nothing changes."""
        if holds is self.active:
            self.since, self.samples = None, 0
            return None
        self.since = now_s if self.since is None else self.since
        self.samples += 1
        lasted = now_s - self.since
        due = lasted >= policy.clear_s if self.active else lasted >= policy.hold_s and self.samples >= policy.samples
        if not due:
            return None
        self.active, self.since, self.samples = holds, None, 0
        return holds


@dataclass
class _Usual:
    """What the camera is like."""

    figures: PictureFigures
    since_s: float
    contrast: float
    gradient: float
    detail: float
    grain: float

    @classmethod
    def of(cls, figures: PictureFigures, at_s: float) -> _Usual:
        return cls(figures, at_s, figures.contrast, figures.gradient, figures.detail, figures.grain)

    def learn(self, figures: PictureFigures, share: float) -> None:
        self.contrast += share * (figures.contrast - self.contrast)
        self.gradient += share * (figures.gradient - self.gradient)
        if figures.grain <= _GRAINY * self.grain + _GRAIN:  # the grain of a dark night is no detail
            self.detail += share * (figures.detail - self.detail)
            self.grain += share * (figures.grain - self.grain)
        self.figures = PictureFigures(
            figures.brightness,
            self.contrast,
            self.gradient,
            self.detail,
            self.grain,
            (1 - share) * self.figures.sharpness + share * figures.sharpness,
            (1 - share) * self.figures.texture + share * figures.texture,
            blended(self.figures.view, figures.view, share),
            blended(self.figures.edges, figures.edges, share),
        )


class CameraHealth:
    """Of one camera. ``at_s``: media time in seconds, growing. Not thread-safe."""

    def __init__(self, policy: HealthPolicy | None = None) -> None:
        self.policy = policy or HealthPolicy()
        self._watches = {condition: _Watch() for condition in Condition}
        self._usual: _Usual | None = None
        self._last: tuple[float, Grey, PictureFigures] | None = None
        self._changed_s: float | None = None
        """When a picture last differed from the one before."""
        self._trembles = False
        """Pictures of this camera differ even where nothing moves, so that equal ones are not its own."""
        self._frames: deque[float] = deque()
        self._usual_fps: float | None = None
        self._counted_s = float("-inf")
        self._other_s: float | None = None
        self._shift = ShiftWatch()

    @property
    def active(self) -> tuple[Condition, ...]:
        return tuple(condition for condition, watch in self._watches.items() if watch.active)

    def wants(self, at_s: float) -> bool:
        """Whether the picture of this instant is to be measured."""
        return self._last is None or at_s - self._last[0] >= self.policy.every_s

    def picture(self, at_s: float, grey: Grey) -> list[HealthChange]:
        """Measure a picture, an (H, W) uint8 thumbnail of some hundred pixels across."""
        figures = measure(grey)
        last, self._last = self._last, (at_s, grey, figures)
        if last is None or last[1].shape != grey.shape:
            self._usual = self._changed_s = None
            self._shift.forget()
            return []
        steady = likeness(figures.edges, last[2].edges) >= self.policy.steady
        changes = self._frozen(at_s, grey, last[1], nothing=figures.contrast < self.policy.flat)
        usual = self._usual
        learning = usual is None or at_s - usual.since_s < self.policy.learn_s
        if usual is None or (learning and likeness(figures.edges, usual.figures.edges) < self.policy.other_view):
            self._usual = _Usual.of(figures, at_s)
            return changes
        if learning:
            usual.learn(figures, 0.3)
            return changes
        return changes + self._compare(at_s, figures, usual, steady)

    def frame(self, at_s: float) -> list[HealthChange]:
        """A frame was decoded: the feed's pace."""
        frames, policy = self._frames, self.policy
        frames.append(at_s)
        while at_s - frames[0] > policy.window_s:
            frames.popleft()
        if at_s - self._counted_s < policy.every_s:
            return []
        self._counted_s = at_s
        # Of whole intervals: a camera that slows down shows it within the window.
        span = at_s - frames[0]
        fps = (len(frames) - 1) / span if span > policy.window_s / 2 else None
        if fps is None:
            return []
        if self._usual_fps is None:
            self._usual_fps = fps
        usual = self._usual_fps
        low = fps < policy.slow * usual
        if not low:
            self._usual_fps += 0.05 * (fps - usual)
        return self._note(Condition.LOW_FPS, low, at_s, fps, f"{fps:.1f} frames a second instead of {usual:.1f}")

    def pause(self) -> None:
        """Frames were held back or thrown away on this side: the pace is not the camera's."""
        self._frames.clear()

    def gap(self) -> None:
        """The feed was interrupted: what follows is not compared with the instant before."""
        self._frames.clear()
        self._last = self._changed_s = None
        self._shift.forget()
        if self._usual is not None and not self._watches[Condition.MOVED].active:
            for condition in (Condition.FROZEN, Condition.COVERED, Condition.DEFOCUSED, Condition.MOVED):
                self._watches[condition].since = None

    def silent(self, seconds: float, after_s: float, why: str) -> list[HealthChange]:
        """The feed has given nothing for so long."""
        watch = self._watches[Condition.OFFLINE]
        if watch.active or seconds < after_s:
            return []
        watch.active = True
        return [HealthChange(Condition.OFFLINE, True, round(seconds, 1), why)]

    def back(self, seconds: float) -> list[HealthChange]:
        """A frame came, after so many seconds without one."""
        watch = self._watches[Condition.OFFLINE]
        if not watch.active:
            return []
        watch.active = False
        return [HealthChange(Condition.OFFLINE, False, round(seconds, 1), "the camera gives pictures again")]

    def clock(self, at_s: float, off_s: float) -> list[HealthChange]:
        """The sender's clock is so many seconds ahead (negative: behind), as far as that can be told."""
        wrong = abs(off_s) >= self.policy.off_s
        side = "ahead" if off_s > 0 else "behind"
        return self._note(Condition.CLOCK, wrong, at_s, off_s, f"the sender's clock is {abs(off_s):.1f} s {side}")

    # -- inside

    def _frozen(self, at_s: float, grey: Grey, before: Grey, *, nothing: bool) -> list[HealthChange]:
        change = float(np.mean(np.abs(np.subtract(grey, before, dtype=np.int16))))
        if change > self.policy.still or self._changed_s is None or nothing:
            self._trembles = self._trembles or self._changed_s is not None
            self._changed_s = at_s
        lasted = at_s - self._changed_s
        watch = self._watches[Condition.FROZEN]
        frozen = self._trembles and lasted >= self.policy.frozen_s
        if frozen is watch.active:
            return []
        watch.active = frozen
        words = f"the same picture for {lasted:.0f} s" if frozen else "the picture changes again"
        return [HealthChange(Condition.FROZEN, frozen, round(lasted, 1), words)]

    def _compare(self, at_s: float, figures: PictureFigures, usual: _Usual, steady: bool) -> list[HealthChange]:
        policy = self.policy
        edges, view = likeness(figures.edges, usual.figures.edges), likeness(figures.view, usual.figures.view)
        nothing = figures.contrast < policy.flat or figures.gradient < policy.smooth * usual.gradient
        covered = nothing and edges < policy.same_view and view < 0.8
        sharpness = figures.detail / max(usual.detail, 1e-6)
        defocused = not covered and sharpness < policy.blurred and view > 0.6
        defocused = defocused and still_sharp(figures, usual.figures) < policy.still_sharp
        seen = not (covered or defocused)
        shifted = self._shift.rests(usual.figures.edges, figures.edges) and seen
        elsewhere = seen and edges < policy.other_view and view < 0.8 and steady
        moved = shifted or (elsewhere and unchanged_share(usual.figures.edges, figures.edges) < policy.unchanged)
        if edges >= policy.same_view and not (defocused or moved):
            usual.learn(figures, 0.03)
        elif not (covered or defocused or moved) and edges >= policy.other_view:
            usual.learn(figures, 0.01)
        changes = self._note(Condition.COVERED, covered, at_s, figures.contrast, "the picture shows nothing any more")
        words = f"{sharpness:.0%} of the usual detail"
        changes += self._note(Condition.DEFOCUSED, defocused, at_s, sharpness, words)
        changes += self._note(Condition.MOVED, moved, at_s, edges, "the camera looks elsewhere")
        return changes + self._adopt(at_s, figures)

    def _adopt(self, at_s: float, figures: PictureFigures) -> list[HealthChange]:
        """What has been another view, or less sharp, for long is the usual."""
        lasting = [each for each in (Condition.MOVED, Condition.DEFOCUSED) if self._watches[each].active]
        self._other_s = (at_s if self._other_s is None else self._other_s) if lasting else None
        if self._other_s is None or at_s - self._other_s < self.policy.adopt_s:
            return []
        self._usual, self._other_s = _Usual.of(figures, at_s), None
        for each in lasting:
            self._watches[each].active = False
        return [HealthChange(each, False, None, "it is taken for the usual picture") for each in lasting]

    def _note(self, condition: Condition, holds: bool, at_s: float, measured: float, words: str) -> list[HealthChange]:
        change = self._watches[condition].update(holds, at_s, self.policy)
        if change is None:
            return []
        return [HealthChange(condition, change, round(measured, 3), words if change else "it is over")]

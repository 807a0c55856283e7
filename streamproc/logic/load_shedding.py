"""What a node that has too much to do gives up, in which order, and when it takes it back. A pure state machine over figures."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Step(StrEnum):
    """What is given up, first to last: what costs least accuracy a CPU second comes first."""

    SECOND_LOOK = "second_look"
    """No second look at crops of what moves."""
    HALF_RATE = "half_rate"
    """Half as many frames are looked at..."""
    QUARTER_RATE = "quarter_rate"
    """...then a quarter."""
    EAGER_IDLE = "eager_idle"
    """Cameras fall asleep sooner."""
    SMALL_MODEL = "small_model"
    """One cheap detector instead of the processor's set."""


LEAST_FPS = 1.0
"""The rate is never brought under this, unless the processor asks for less."""


@dataclass(frozen=True, slots=True)
class QualityLevel:
    """What the steps that are taken mean for one feed."""

    second_look: bool = True
    rate: float = 1.0
    """Of the processor's own sampling rate."""
    eager_idle: bool = False
    small_model: bool = False

    @classmethod
    def by(cls, steps: Collection[Step]) -> QualityLevel:
        rate = 0.25 if Step.QUARTER_RATE in steps else 0.5 if Step.HALF_RATE in steps else 1.0
        return cls(Step.SECOND_LOOK not in steps, rate, Step.EAGER_IDLE in steps, Step.SMALL_MODEL in steps)

    def fps(self, asked: float) -> float:
        """The sampling rate instead of the one that was asked for."""
        return max(min(asked, LEAST_FPS), asked * self.rate)


FULL = QualityLevel()
"""Nothing is given up."""


@dataclass(frozen=True, slots=True)
class LoadSheddingPolicy:
    """When steps are taken and undone. Shares are 0..1."""

    dropped: float = 0.1
    """More than this share of the due frames dropped is pressure, whatever the CPU says: something else may use the cores."""
    busy: float = 0.9
    """Below this share of the cores in use, by whomever, frames are dropped though a core was free..."""
    lasting: float = 0.5
    """...which is pressure only if it happens in this share of the window's seconds: one camera's work is one thread's, and may be too much
    for it. What passes (a disk, a model being read, a camera that wakes) is over before a step could help."""
    room: float = 0.75
    """Below this share of the target there is room again."""
    window_s: float = 10.0
    """Figures are means over so long; each step is judged by a window of its own."""
    calm_s: float = 30.0
    """There must have been room for so long before a step is undone..."""
    free: float = 0.6
    free_calm_s: float = 5.0
    """...or the CPU below this share of the target for so long: a step was taken for what has passed."""
    relapse_s: float = 120.0
    """A step that must be taken again so soon after it was undone was undone too soon: the next time waits twice as long..."""
    most_calm_s: float = 960.0
    """...up to this, in place of ``calm_s``."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step, taken or undone."""

    step: Step
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class _Figures:
    """What was told at a time."""

    now: float
    cpu: float | None
    dropped: float
    busy: float


@dataclass
class LoadShedding:
    """Fed with figures about once a second; says what to give up or take back, one step at a time.

    Steps are undone in reverse order. ``target`` is the CPU share (0..1) to stay under; None takes everything back.
    """

    target: float | None
    policy: LoadSheddingPolicy = field(default_factory=LoadSheddingPolicy)
    taken: list[Step] = field(default_factory=list)
    """In the order in which they were taken."""
    _figures: deque[_Figures] = field(default_factory=deque)
    _began: float | None = None
    _room_since: float | None = None
    _free_since: float | None = None
    _undone: dict[Step, float] = field(default_factory=dict)
    _patience: float = 1.0

    def observe(
        self, now: float, cpu: float | None, dropped: float, steps: Sequence[Step] = tuple(Step), busy: float = 1.0
    ) -> Change | None:
        """``cpu``: the share of the cores used (None: it says nothing, since somebody takes whatever is left), ``dropped``: of
        the due frames, ``busy``: the share of the cores that anybody on the machine used, all since the last call; ``steps``: those that
        would change anything. ``now`` in seconds."""
        if self.target is None:
            return self._undo(now, "the governor was switched off") if self.taken else None
        mean_cpu, mean_dropped, whole = self._means(_Figures(now, cpu, dropped, busy))
        self._mind_room(now, mean_cpu, mean_dropped)
        pressed = self._pressure(mean_cpu, mean_dropped)
        if pressed is not None and whole:
            left = [step for step in Step if step in steps and step not in self.taken]
            return self._take(now, left[0], pressed) if left else None
        if pressed is None and self.taken and (room := self._room_for(now)) is not None:
            said = "no frames dropped" if mean_cpu is None else f"CPU at {mean_cpu:.1%} of the cores"
            return self._undo(now, f"{said}, room for {room:.0f} s")
        if self._undone and now - max(self._undone.values()) > self.policy.relapse_s * self._patience:
            self._patience, self._undone = 1.0, {}
        return None

    def _means(self, newest: _Figures) -> tuple[float | None, float, bool]:
        """The means of the window, and whether it is whole. Of the drops: as far as they are pressure."""
        figures, now = self._figures, newest.now
        figures.append(newest)
        while now - figures[0].now > self.policy.window_s:
            figures.popleft()
        if self._began is None:
            self._began = now
        known = [each.cpu for each in figures if each.cpu is not None]
        whole = now - self._began >= self.policy.window_s
        mean_cpu = sum(known) / len(known) if len(known) * 2 > len(figures) else None
        return mean_cpu, self._dropped(), whole

    def _dropped(self) -> float:
        """The share of the due frames that was dropped for want of time; 0 where it was in passing, and cores were free."""
        figures, policy = self._figures, self.policy
        losing = [each for each in figures if each.dropped > policy.dropped]
        free = sum(each.busy for each in losing) < policy.busy * len(losing)
        if free and len(losing) < policy.lasting * len(figures):
            return 0.0
        return sum(each.dropped for each in figures) / len(figures)

    def _pressure(self, cpu: float | None, dropped: float) -> str | None:
        """Why it is too much; None: it is not."""
        if self.target is not None and cpu is not None and cpu > self.target:
            return f"CPU at {cpu:.1%} of the cores, target {self.target:.0%}"
        if dropped > self.policy.dropped:
            return f"{dropped:.0%} of the due frames were dropped"
        return None

    def _mind_room(self, now: float, cpu: float | None, dropped: float) -> None:
        assert self.target is not None
        calm = dropped <= self.policy.dropped / 2
        room = calm and (cpu or 0.0) <= self.policy.room * self.target
        free = calm and cpu is not None and cpu < self.policy.free * self.target
        self._room_since = (now if self._room_since is None else self._room_since) if room else None
        self._free_since = (now if self._free_since is None else self._free_since) if free else None

    def _room_for(self, now: float) -> float | None:
        """Seconds for which there has been room, where that is long enough to undo a step."""
        # Where the step itself frees the CPU, this comes to the longer wait after two relapses.
        free, room = self.policy.free_calm_s * self._patience**2, self.policy.calm_s * self._patience
        for since, calm in ((self._free_since, free), (self._room_since, room)):
            if since is not None and now - since >= calm:
                return now - since
        return None

    def _take(self, now: float, step: Step, why: str) -> Change:
        if now - self._undone.pop(step, float("-inf")) <= self.policy.relapse_s * self._patience:
            self._patience = min(self._patience * 2, self.policy.most_calm_s / self.policy.calm_s)
        self.taken.append(step)
        self._forget()
        return Change(step, True, why)

    def _undo(self, now: float, why: str) -> Change:
        step = self.taken.pop()
        self._undone[step] = now
        self._forget()
        return Change(step, False, why)

    def _forget(self) -> None:
        """Figures from before a change say nothing about after it."""
        self._figures.clear()
        self._began = self._room_since = self._free_since = None

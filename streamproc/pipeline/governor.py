"""Keeps the process under its CPU target: live lanes give things up in a stated order while there is too much to do.

``logic.load_shedding`` decides; here are the figures it is given and the lanes it is applied to. Steps apply to every live lane of
the node alike. Durable sources (files as fast as possible, logs) are never eased: they decide the same on every run, and wait
instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from streamproc import metrics
from streamproc.core.decisions import Aspect
from streamproc.core.media import rfc3339
from streamproc.logic.load_shedding import FULL, Change, LoadShedding, LoadSheddingPolicy, QualityLevel, Step
from streamproc.pipeline.cores import CpuMeter, MachineMeter
from streamproc.pipeline.lane import Lane

log = structlog.get_logger(__name__)
EVERY_S = 1.0
SETTLING_S = 5.0
"""A camera that has just begun drops frames while its models wake up; that says nothing of the load. Nor does the CPU while many begin:
models are compiled, and every camera is decoded until it is known."""
MANY = 0.25
"""Share of the cameras."""
PRESSING = ("behind", "overflow")
"""Reasons of drops that mean that there is too much to do."""


class Governor:
    """The one governor of a process. ``tick`` is called about once a second, from one thread at a time, and not in the event loop: it may load a model."""

    def __init__(self, target_percent: float | None, policy: LoadSheddingPolicy | None = None) -> None:
        """``target_percent``: of the usable cores; None or 0 switches easing off."""
        self.greedy: list[Callable[[], bool]] = []
        """Whether somebody else in this process takes whatever CPU is left (stored-video jobs): easing cameras would not bring
        the share down then, so only dropped frames count."""
        self._easing = LoadShedding(None, policy or LoadSheddingPolicy())
        self._meter, self._machine = CpuMeter(), MachineMeter()
        self._before: dict[Lane, tuple[int, int]] = {}
        self._told: dict[Step, dict[str, Any]] = {}
        self.retarget(target_percent)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are taken, in order."""
        return tuple(self._easing.taken)

    def retarget(self, target_percent: float | None) -> None:
        """Another target from the next tick on."""
        self._easing.target = target_percent / 100 if target_percent else None

    def tick(self, lanes: Sequence[Lane]) -> None:
        """Take in the time since the last tick, and do something about it if need be. ``lanes``: all that run."""
        live = [lane for lane in lanes if lane.live and not lane.over]
        cpu, dropped = self._meter.read(), self._drops(live)
        busy = max(cpu, self._machine.read())  # a container's quota is used up while the machine has cores free
        metrics.CPU_SHARE.set(cpu)
        useful = [step for step in Step if any(_can(lane, step) for lane in live)]
        telling = not (self._settling(live) or any(_waits(lane) for lane in lanes) or any(ask() for ask in self.greedy))
        change = self._easing.observe(time.monotonic(), cpu if telling else None, dropped, useful, busy)
        if change is not None:
            self._note(change, cpu, dropped)
        eased = QualityLevel.by(self._easing.taken)
        for lane in live:
            self._apply(lane, eased)
        for lane in lanes:
            if not lane.live and lane.stats.eased:
                self._apply(lane, FULL)  # its source was changed for a durable one

    def _settling(self, live: Sequence[Lane]) -> bool:
        """Whether many of the cameras have just begun."""
        now = time.monotonic()
        fresh = [lane for lane in live if now - (lane.stats.first_frame or lane.stats.began) <= SETTLING_S]
        return len(fresh) > MANY * len(live)

    def _drops(self, live: Sequence[Lane]) -> float:
        """Share of the frames that fell due since the last tick, over all lanes, that were dropped."""
        counts = {
            lane: (lane.stats.frames, sum(lane.stats.drops[reason] for reason in PRESSING))
            for lane in live
            if lane.stats.first_frame is not None and time.monotonic() - lane.stats.first_frame > SETTLING_S
        }
        analysed = sum(seen - self._before.get(lane, (seen, 0))[0] for lane, (seen, _) in counts.items())
        drops = sum(lost - self._before.get(lane, (0, lost))[1] for lane, (_, lost) in counts.items())
        self._before = counts
        return drops / (analysed + drops) if drops else 0.0

    def _note(self, change: Change, cpu: float, dropped: float) -> None:
        level = len(self._easing.taken)
        metrics.GOVERNOR_LEVEL.set(level)
        metrics.GOVERNOR_STEPS.labels(change.step.value, "taken" if change.taken else "undone").inc()
        if change.taken:
            self._told[change.step] = {
                "step": change.step.value,
                "why": change.why,
                "since": rfc3339(datetime.now(UTC)),
            }
        else:
            self._told.pop(change.step, None)
        say = log.warning if change.taken else log.info
        say(
            "eased" if change.taken else "eased_no_more",
            step=change.step.value,
            why=change.why,
            steps=level,
            cpu=round(cpu, 3),
            dropped=round(dropped, 3),
            target=self._easing.target,
        )

    def _apply(self, lane: Lane, eased: QualityLevel) -> None:
        """Bring a lane to where it should be; it may be new, or have other models since it was last seen."""
        for analysis in lane.frames.analyses.items:
            if analysis.eased != eased:
                analysis.prepare(eased)
                lane.edit(lambda analysis=analysis: analysis.ease(eased))  # type: ignore[misc]
        lane.idle.eager = eased.eager_idle
        lane.stats.left_out = max((analysis.left_out for analysis in lane.frames.analyses.items), default=0.0)
        lane.stats.eased = tuple(self._told.values()) if eased != FULL else ()
        lane.frames.trace.condition(Aspect.EASED, ",".join(each["step"] for each in lane.stats.eased))


def _waits(lane: Lane) -> bool:
    """Durable work is waiting: it takes whatever CPU is left, too."""
    return not lane.live and not lane.over and len(lane.intake.inbox) > 0


def _can(lane: Lane, step: Step) -> bool:
    """Whether taking this step would change anything on this lane."""
    if step is Step.EAGER_IDLE:
        return lane.idle.settings.enabled and not lane.idle.eager
    return any(analysis.can(step) for analysis in lane.frames.analyses.items)

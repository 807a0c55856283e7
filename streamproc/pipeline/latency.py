"""Latency of frames and their events since capture: one trail a frame, one figure a stage.

Every figure is the time since capture (the arrival of the frame's last packet at this machine, ``Frame.at.wall``) at the END of its
stage, so the last one is the whole way and the difference of two is what lies between them:

- ``capture``: handed to the lane by its source (what the network, jitter and the source's own thread took);
- ``decode``: decoded, in a worker (so the wait for a worker is in it);
- ``detect``: all models have answered;
- ``decide``: tracks, beliefs and the session have decided what is new;
- ``durable``: the event is committed (events only);
- ``delivered``: an output has confirmed it (events only, once for each output).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime

from streamproc import metrics

STAGES = ("capture", "decode", "detect", "decide", "durable", "delivered")
_KEPT = 500
"""Frames (or events) of each stage that Describe's figures are of."""


class Trail:
    """When one frame passed which stage: seconds since its capture."""

    __slots__ = ("_captured", "marks")

    def __init__(self, captured: datetime) -> None:
        self._captured = captured.timestamp()
        self.marks: dict[str, float] = {}

    def mark(self, stage: str, ago: float = 0.0) -> None:
        """Note that the frame passed ``stage`` so many seconds ago."""
        # A camera's clock (RTCP sender reports) may run a little ahead of ours.
        self.marks[stage] = max(0.0, time.time() - ago - self._captured)


class StageTimes:
    """The stages of one processor: for ``/metrics`` and, of the latest frames and events, for Describe."""

    def __init__(self, processor: str) -> None:
        self._recent: dict[str, deque[float]] = {stage: deque(maxlen=_KEPT) for stage in STAGES}
        self._metered = {stage: metrics.STAGE_LATENCY.labels(processor, stage) for stage in STAGES}

    def note(self, stage: str, seconds: float) -> None:
        self._recent[stage].append(max(0.0, seconds))
        self._metered[stage].observe(max(0.0, seconds))

    def take(self, marks: Mapping[str, float]) -> None:
        for stage, seconds in marks.items():
            self.note(stage, seconds)

    def quantile_ms(self, stage: str, share: float) -> float | None:
        """Milliseconds; None before the first."""
        return _quantile_ms(sorted(self._recent[stage].copy()), share)

    def view(self) -> dict[str, dict[str, float | None]]:
        """p50 and p95 in milliseconds of every stage that was reached, JSON-ready."""
        answer = {}
        for stage, recent in self._recent.items():
            ordered = sorted(recent.copy())
            if ordered:
                answer[stage] = {"p50_ms": _quantile_ms(ordered, 0.5), "p95_ms": _quantile_ms(ordered, 0.95)}
        return answer


def _quantile_ms(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)

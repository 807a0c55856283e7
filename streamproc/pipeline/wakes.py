"""What a sleeping camera was woken by, and whether it was worth it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from streamproc import metrics
from streamproc.core.media import Moment
from streamproc.logic.wakeup import WakeRecord

_BY_PACKETS_OR_PICTURE = ("sizes", "picture")
"""Reasons that claim that something moves: what they turn out to be is remembered."""


@dataclass(frozen=True, slots=True)
class _Woke:
    """The last wake."""

    reason: str
    when: datetime
    stirring: bool
    """Packets had begun to rise."""


class Wakes:
    """The wakes of one camera: how many, how late, how many for nothing."""

    def __init__(self, processor: str) -> None:
        self.counts: Counter[str] = Counter()
        """By reason."""
        self._processor = processor
        self._record = WakeRecord()
        self._open: _Woke | None = None
        """Until it is known what for."""
        self._delays: deque[float] = deque(maxlen=200)

    def begin(self, reason: str, stirring: bool) -> None:
        """The camera is woken now. ``stirring``: its packets had begun to rise."""
        self._open = _Woke(reason, datetime.now(UTC), stirring)
        self.counts[reason] += 1
        metrics.WAKES.labels(self._processor, reason).inc()

    def found(self, at: Moment) -> None:
        """Something moves in the frame of ``at``; of the first one after a wake it is noted how late it was noticed."""
        woke, self._open = self._open, None
        if woke is None:
            return
        delay = max(0.0, (woke.when - at.wall).total_seconds())
        if woke.reason in (*_BY_PACKETS_OR_PICTURE, "look"):
            self._delays.append(delay)
            metrics.WAKE_DELAY.labels(self._processor).observe(delay)
        if woke.reason in _BY_PACKETS_OR_PICTURE:  # what stands still wakes by an analysis alone; no size can tell it
            self._record.found(at.media, missed=woke.reason == "picture" and not woke.stirring)

    def end(self) -> bool:
        """The camera falls asleep again. Whether packets had woken it for nothing."""
        woke, self._open = self._open, None
        if woke is None or woke.reason not in _BY_PACKETS_OR_PICTURE:
            return False
        metrics.FALSE_WAKES.labels(self._processor).inc()
        self._record.false += 1
        return woke.reason == "sizes"

    def mistrusted(self, now: Fraction) -> bool:
        """Packets did not show what pictures showed, lately."""
        return self._record.mistrusted(now)

    def forget(self) -> None:
        """Media time begins anew."""
        self._open = None
        self._record.forget()

    def view(self) -> dict[str, Any]:
        """JSON-ready, for Describe."""
        delays = sorted(self._delays)
        p95 = round(delays[min(len(delays) - 1, int(0.95 * len(delays)))], 3) if delays else None
        return {"wakes": dict(self.counts), "false_wakes": self._record.false, "wake_delay_p95_s": p95}

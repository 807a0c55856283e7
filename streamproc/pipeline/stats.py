"""Counts and rates of one lane, for Describe and for /metrics."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from streamproc import metrics
from streamproc.core.event import Event
from streamproc.core.media import EndOfStream, Frame, Gap, Packet, StreamItem
from streamproc.pipeline.latency import StageTimes, Trail

WINDOW_S = 10.0


class LaneStats:
    """Written by the lane's worker, read from anywhere; a reader may see a value that is one step old."""

    def __init__(self, processor: str) -> None:
        self.processor = processor
        self.source = "idle"
        """idle (nothing came yet), running, gap or ended."""
        self.why = ""
        self.last_item = time.monotonic()
        self.began = time.monotonic()
        self.frames = 0
        self.first_frame: float | None = None
        """Monotonic seconds."""
        self.drops: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self._recent: deque[float] = deque()
        self.eased: tuple[dict[str, Any], ...] = ()
        """What the governor has given up of this processor: step, why, since."""
        self.left_out = 0.0
        """How many frames that were asked for are passed over for each that is due now, because the rate is eased."""
        self._passed_over = 0.0
        self.stages = StageTimes(processor)
        self._handed = 0.0
        self._metered = metrics.FRAMES_LOOKED_AT.labels(processor)

    @property
    def quiet_s(self) -> float:
        """Seconds since the feed gave something."""
        return time.monotonic() - self.last_item

    def item(self, item: StreamItem, arrived: float) -> None:
        """The lane took an item that its source handed over at ``arrived`` (monotonic seconds)."""
        self.last_item, self._handed = time.monotonic(), arrived
        if isinstance(item, Packet | Frame):
            self.source, self.why = "running", ""
        elif isinstance(item, EndOfStream):
            self.source = "ended"

    def gap(self, gap: Gap) -> None:
        self.source, self.why = "gap", f"{gap.reason.value}: {gap.detail}" if gap.detail else gap.reason.value
        metrics.SOURCE_GAPS.labels(self.processor, gap.reason.value).inc()

    def decoded(self, frame: Frame) -> Trail:
        """A frame that will be analysed is decoded; the trail goes with it."""
        trail = Trail(frame.at.wall)
        trail.mark("capture", time.monotonic() - self._handed)
        trail.mark("decode")
        return trail

    def analysed(self, runs: Sequence[Mapping[str, int]]) -> None:
        """A frame was analysed. ``runs``: of each analysis, how often each model ran."""
        now = time.monotonic()
        self.frames += 1
        self.first_frame = self.first_frame or now
        self._pass_over()
        self._metered.inc()
        self._recent.append(now)
        while now - self._recent[0] > WINDOW_S:
            self._recent.popleft()
        for each in runs:
            self.runs.update(each)
            for model, count in each.items():
                metrics.INFERENCES.labels(model).inc(count)

    def dropped(self, reason: str) -> None:
        self._drop(reason, 1)
        self._pass_over()

    def _pass_over(self) -> None:
        """Frames that are not even due while the rate is eased were asked for all the same."""
        self._passed_over += self.left_out
        whole = int(self._passed_over)
        if whole:
            self._passed_over -= whole
            self._drop("eased", whole)

    def _drop(self, reason: str, count: int) -> None:
        self.drops[reason] += count
        metrics.FRAMES_DROPPED.labels(self.processor, reason).inc(count)

    def told(self, events: Sequence[Event], live: bool) -> None:
        """These events are durable now."""
        for event in events:
            metrics.EVENTS.labels(self.processor, event.type.value).inc()
            if live and event.box is not None:
                delay = time.time() - event.at.wall.timestamp()
                self.stages.note("durable", delay)
                metrics.EVENT_LATENCY.labels(self.processor).observe(delay)

    def delivered(self, event: Event) -> None:
        """An output has confirmed an event of this processor. Called in the event loop."""
        if "latency" in event.data:
            self.stages.note("delivered", time.time() - event.at.wall.timestamp())

    def view(self) -> dict[str, Any]:
        """JSON-ready."""
        now = time.monotonic()
        recent = [moment for moment in tuple(self._recent) if now - moment <= WINDOW_S]
        span = now - recent[0] if len(recent) > 1 else 0.0
        return {
            "frames_looked_at": self.frames,
            "fps": round((len(recent) - 1) / span, 2) if span > 0 else 0.0,
            "drops": dict(self.drops),
            "inferences": dict(self.runs),
            "eased": list(self.eased),
            "latency_p50_ms": self.stages.quantile_ms("durable", 0.5),
            "latency_p95_ms": self.stages.quantile_ms("durable", 0.95),
            "latency": self.stages.view(),
        }

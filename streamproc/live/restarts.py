"""When a processor that failed is started again unasked."""

from __future__ import annotations

import math
from random import Random

import structlog

from streamproc.live.processor import Processor
from streamproc.logic.backoff import Backoff, BackoffRule

log = structlog.get_logger(__name__)

UNEXPECTED = BackoffRule(first_s=1.0, cap_s=120.0, healthy_s=300.0)
REFUSED = BackoffRule(first_s=60.0, cap_s=3600.0, healthy_s=3600.0)
"""A wrong password, a missing file: only somebody's act fixes that, and a camera may lock out who asks too often."""


class Restarts:
    """One back-off a processor and kind of failure. Belongs to the event loop."""

    def __init__(self) -> None:
        self._random = Random()
        self._backoffs: dict[tuple[str, str], Backoff] = {}

    def retry_at(self, processor: Processor, now: float) -> float:
        """On the clock of ``now`` (monotonic seconds); infinity: not unasked. See ``desired.RetryAt``."""
        kind = processor.failed_as
        if kind == "denied":
            return math.inf
        key = (processor.name, kind)
        if key not in self._backoffs:
            self._backoffs[key] = Backoff(REFUSED if kind == "refused" else UNEXPECTED, self._random)
        backoff = self._backoffs[key]
        if processor.running_since is not None:
            backoff.succeeded(processor.running_since)
        wait = backoff.failed(now)
        log.warning("restart_due", processor=processor.name, kind=kind, in_s=round(wait, 1), failures=backoff.failures)
        return now + wait

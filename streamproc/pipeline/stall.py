"""A feed that gives nothing: whether it is stalled, and whether its session ends without it."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from streamproc.core.media import Moment
from streamproc.pipeline.idle import IdleMode
from streamproc.pipeline.inbox import Inbox
from streamproc.pipeline.setup import LaneSetup
from streamproc.pipeline.stats import LaneStats

NO_FRAME_S = 10.0
"""A live feed may take so long to give its first frame before its session's duration counts."""
QUIET_LOG_S = 60.0
"""A durable log that stays quiet for so long beyond its session's end has nothing more to say to it."""
STALL_S = 15.0
"""Sources notice a stall by themselves; one that gives nothing for so long without a word has a gap all the same."""
SILENT_S = 3.0
"""A sleeping camera that gives nothing for so long is decoded to its last packet, so that its silence can be judged."""


class StallDetector:
    """Of one lane. ``check`` is called about twice a second by control; the lane's worker acts on what it left."""

    def __init__(self, parts: LaneSetup, inbox: Inbox, idle: IdleMode, stats: LaneStats) -> None:
        self.stalled = False
        """The feed is in a gap of which its source knows nothing."""
        self.over: Moment | None = None
        """The session's time is up though no frame says so: now, on its clock."""
        self._parts = parts
        self._inbox = inbox
        self._idle = idle
        self._stats = stats

    @property
    def noticed(self) -> bool:
        return self.stalled or self.over is not None

    def check(self) -> bool:
        """Let time pass. True: a worker is wanted."""
        live, quiet = self._parts.live, self._stats.quiet_s
        if self._idle.asleep:
            if quiet > SILENT_S:
                self._idle.wake("stall")
            return quiet > SILENT_S
        if len(self._inbox) or self.over is not None:
            return False
        if live and self._stats.source == "running" and quiet > STALL_S:
            self.stalled = True
        allowed = self._parts.sessions.silent_until()
        if allowed is not None:
            self.over = self._end(float(allowed), quiet)
        return self.noticed

    def now(self, last: Moment) -> Moment:
        """The present on the session's clock, of a feed that has been quiet since ``last``."""
        return last.after(Fraction(round(self._stats.quiet_s * 1000), 1000))

    def _end(self, allowed: float, quiet: float) -> Moment | None:
        last, live = self._parts.sessions.last, self._parts.live
        if last is not None:
            return self.now(last) if quiet > allowed + (1.0 if live else QUIET_LOG_S) else None
        if live and not self._parts.waits and quiet > allowed + NO_FRAME_S:
            return Moment(Fraction(0), datetime.now(UTC))
        return None

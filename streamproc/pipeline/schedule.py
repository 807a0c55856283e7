"""Which frames of a lane are due, which came too late, and how urgent the next one is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction

from streamproc.core.media import Frame, Packet
from streamproc.pipeline.analysis import Analysis
from streamproc.pipeline.idle import IdleMode
from streamproc.pipeline.inbox import Inbox
from streamproc.pipeline.setup import LaneSetup
from streamproc.pipeline.stats import LaneStats

SLACK_DURABLE_S = 0.25
"""A durable feed loses nothing by waiting, so live feeds go first by so much."""
SLACK_CATCH_UP_S = 0.5
"""Packets that only have to be decoded wait for frames that have to be looked at."""
FAR_BEHIND_S = 1.0
"""A live feed's packets that waited longer are not even decoded where a newer keyframe is there."""


class FrameSchedule:
    """Belongs to a lane. Deadlines are monotonic seconds."""

    def __init__(self, parts: LaneSetup, inbox: Inbox, idle: IdleMode, stats: LaneStats) -> None:
        self.shift: Fraction | None = Fraction(0)
        """From the source's media time to the session's; None: the next frame tells."""
        self.served = 0.0
        """When the lane's last step ended; monotonic seconds."""
        self._parts = parts
        self._inbox = inbox
        self._idle = idle
        self._stats = stats
        self._due_from: Fraction | None = None

    def due(self, media: Fraction) -> list[Analysis]:
        """Who wants the frame at ``media`` (the session's)."""
        return [analysis for analysis in self._parts.analyses if analysis.sampler.due(media)]

    def restart(self) -> None:
        """After a gap whatever comes is due."""
        self._due_from = None

    def plan(self) -> None:
        """Samplers have moved on: work out when the next frame is due."""
        times = [analysis.sampler.next_due() for analysis in self._parts.analyses]
        known = [time for time in times if time is not None]
        self._due_from = min(known) - (self.shift or 0) if len(known) == len(times) and known else None

    def is_behind(self, analysis: Analysis, media: Fraction) -> bool:
        """A live feed has a newer frame that is due too: this one is stale."""
        if not self._parts.live:
            return False
        newest = self._inbox.newest_media()
        return newest is not None and analysis.sampler.later_slot(media, newest + (self.shift or 0))

    def drop(self, due: Sequence[Analysis], media: Fraction, reason: str) -> None:
        """A frame that was due and nobody will look at."""
        for analysis in due:
            analysis.sampler.take(media)
        self.plan()
        self._stats.dropped(reason)

    def count_overflow(self) -> bool:
        """Count what a full inbox threw away. True: there was something, so decoding begins anew."""
        lost, self._inbox.overflowed = self._inbox.overflowed, []
        self._count(lost, "overflow")
        return bool(lost)

    def skip(self) -> bool:
        """A live feed that is far behind goes on at its newest keyframe. True: it did, so decoding begins anew."""
        head = self._inbox.head()
        if not self._parts.live or head is None or time.monotonic() - head.arrived < FAR_BEHIND_S:
            return False
        if not isinstance(head.item, Packet) or self._idle.has_backlog(head.item.at):
            return False
        key = self._inbox.newest_keyframe()
        if key is None:
            return False
        lost = [queued.item.at.media for queued in self._inbox.skip_to(key) if isinstance(queued.item, Packet)]
        self._count(lost, "behind")
        return True

    def _count(self, lost: list[Fraction], reason: str) -> None:
        for media in lost:
            due = self.due(media + (self.shift or 0))
            if due:
                self.drop(due, media + (self.shift or 0), reason)

    def deadline(self) -> float | None:
        """Of the most urgent thing that waits in the inbox; None: nothing does."""
        if self._idle.asleep:
            return self._idle.deadline()
        head = self._inbox.head()
        if head is None:
            return None
        if not isinstance(head.item, Packet | Frame):
            return head.arrived
        if not self._parts.live:
            # All that waits of a log or a file has waited long; only what was not served since then counts.
            return max(head.arrived, self.served) + SLACK_DURABLE_S
        if self._idle.has_backlog(head.item.at):
            # Held back while the camera was asleep: in turn with what others show now, not before it for being older.
            return max(head.arrived, self._idle.served) + SLACK_CATCH_UP_S / 2
        newest = self._inbox.newest_media()
        due = self._due_from is None or (newest is not None and newest >= self._due_from)
        return head.arrived + (0.0 if due else SLACK_CATCH_UP_S)

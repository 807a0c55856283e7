"""How urgent a lane is: when its next frame is due, and the deadline of what waits in its inbox."""

from __future__ import annotations

from fractions import Fraction

from streamproc.core.media import Frame, Packet
from streamproc.pipeline.inbox import Queued

SLACK_DURABLE_S = 0.25
"""A durable feed loses nothing by waiting, so live feeds go first by so much: a little more than the 0.2 s between frames of 5 a second."""
SLACK_CATCH_UP_S = 0.5
"""Packets that only have to be decoded wait for frames that have to be analysed. Half a second is what ``logic.fair_share`` puts a lane
back by at most, so nothing waits longer for being unimportant than for having been served."""
SLACK_STILL_S = 0.1
"""A keyframe that is only to be compared waits this long for frames that have to be analysed."""
FIRST_LOOK_AHEAD_S = 10.0
"""A feed that began or woke and was not looked at yet goes before second looks elsewhere: longer than a round of all takes where there is far too
much to do, so that every camera has its first look within one round."""
SLACK_PRESENCE_S = 1.0
"""A frame that can only tell that somebody is still there waits this long for frames that may hold news. Absence is judged by frames that
were analysed, so it makes nobody gone; who has gone is told that much later."""
FAR_BEHIND_S = 1.0
"""A live feed's packets that waited longer are not even decoded where a newer keyframe is there. Less would throw away
packets in every short burst of load; more would make what is announced late by that much."""
BEHIND_IN_A_CROWD_S = 0.2
"""The same while other cameras wait too: only the newest frame will be looked at, and it needs nothing from before its keyframe."""


class FrameSchedule:
    """Deadlines of one lane, in monotonic seconds. Media times are the session's."""

    def __init__(self) -> None:
        self.served = 0.0
        """When the lane's last step ended."""
        self._due_from: Fraction | None = None

    def plan(self, next_due: Fraction | None) -> None:
        """Samplers have moved on: the next frame is due from this media time on; None: any is."""
        self._due_from = next_due

    def deadline(
        self,
        head: Queued,
        newest: Fraction | None,
        held_back_since: float | None = None,
        *,
        first: bool = False,
        presence_only: bool = False,
    ) -> float:
        """Of the first item in the inbox of a live feed.

        ``newest``: media time of the newest picture there. ``held_back_since``: where the item was held back while the camera was
        asleep, when a frame was last analysed. ``first``: none was since the feed began or woke. ``presence_only``: whatever can be announced has been.
        """
        if not isinstance(head.item, Packet | Frame):
            return head.arrived
        if first:
            return head.arrived - FIRST_LOOK_AHEAD_S
        if held_back_since is not None:
            # In turn with what other cameras show now, not before it for being older.
            return max(head.arrived, held_back_since) + SLACK_CATCH_UP_S / 2
        due = self._due_from is None or (newest is not None and newest >= self._due_from)
        if not due:
            return head.arrived + SLACK_CATCH_UP_S
        return head.arrived + (SLACK_PRESENCE_S if presence_only else 0.0)

    def deadline_durable(self, head: Queued) -> float:
        """The same of a durable feed: all that waits there has waited long, so it counts from when it was last served."""
        if not isinstance(head.item, Packet | Frame):
            return head.arrived
        return max(head.arrived, self.served) + SLACK_DURABLE_S

    @staticmethod
    def deadline_asleep(head: Queued | None, border: Queued | None, wake_wanted: bool) -> float | None:
        """Of a camera that sleeps. ``border``: the keyframe, gap or end that is to be seen to next."""
        if wake_wanted:
            return head.arrived if head is not None else 0.0
        return border.arrived + SLACK_STILL_S if border is not None else None

    @staticmethod
    def is_stale(head: Queued, now: float, crowded: bool = False) -> bool:
        """Whether the first item of a live feed has waited for too long to be decoded."""
        most = BEHIND_IN_A_CROWD_S if crowded else FAR_BEHIND_S
        return isinstance(head.item, Packet) and now - head.arrived >= most

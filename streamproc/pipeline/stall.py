"""A feed that gives nothing: whether it is stalled, and whether its session ends without it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from streamproc.contracts import SourceTraits
from streamproc.core.media import Moment

NO_FRAME_S = 10.0
"""A live feed may take so long to give its first frame before its session's duration counts: connecting to
a camera (``connect_timeout``, 5 s unless set) and waiting for its first keyframe come before it."""
QUIET_LOG_S = 15.0
"""A log that is read to its end and gets nothing for so long beyond its session's end has nothing more to say to it: producers cut fragments of
up to ten seconds."""
QUIET_BACKLOG_S = 60.0
"""The same of one that cannot be read just now."""
STALL_S = 15.0
"""Sources notice a stall by themselves, sooner than this; one that gives nothing for so long without saying so has a gap all the same."""
SILENT_S = 3.0
"""A sleeping camera that gives nothing for so long is decoded to its last packet, so that its silence can be judged."""
LATE_S = 1.0
"""A live feed may be so late with the frame that ends its session."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """What is known of a feed at one instant."""

    traits: SourceTraits
    running: bool
    """The last thing it gave was a picture."""
    asleep: bool
    """Its camera is asleep (idle mode)."""
    waiting: bool
    """Something of it is queued, or being seen to."""
    quiet_s: float
    """Seconds since it gave something."""
    reading: bool = True
    """Its source is connected and waits for nothing but more of it."""


@dataclass(frozen=True, slots=True)
class StallVerdict:
    """What a feed's silence means for its lane."""

    wake: bool = False
    """The camera has to wake up before its silence can be judged."""
    stalled: bool = False
    """The feed is in a gap of which its source knows nothing."""
    offline: bool = False
    """It has given nothing for as long as makes a camera offline."""
    over: Moment | None = None
    """The session's time is up though no frame says so: now, on its clock."""

    def __bool__(self) -> bool:
        return self.wake or self.stalled or self.offline or self.over is not None


QUIET = StallVerdict()


def judge(feed: FeedStatus, last: Moment | None, allowed: Fraction | None, now: datetime) -> StallVerdict:
    """The verdict on a feed's silence. ``last``: the session's last frame. ``allowed``: seconds that the session may go on from
    there without a frame (``Sessions.silent_until``); None: for ever."""
    if feed.asleep:
        return StallVerdict(wake=feed.quiet_s > SILENT_S)
    if feed.waiting:
        return QUIET
    stalled = feed.traits.live and feed.running and feed.quiet_s > STALL_S
    return StallVerdict(stalled=stalled, over=None if allowed is None else _end(feed, last, float(allowed), now))


def present(last: Moment, quiet_s: float) -> Moment:
    """The present on the session's clock, of a feed that has been quiet since ``last``."""
    return last.after(Fraction(round(quiet_s * 1000), 1000))


def _end(feed: FeedStatus, last: Moment | None, allowed: float, now: datetime) -> Moment | None:
    live = feed.traits.live
    if last is not None:
        over = feed.quiet_s > allowed + (LATE_S if live else QUIET_LOG_S if feed.reading else QUIET_BACKLOG_S)
        return present(last, feed.quiet_s) if over else None
    never_came = live and not feed.traits.waits_for_publisher and feed.quiet_s > allowed + NO_FRAME_S
    return Moment(Fraction(0), now) if never_came else None

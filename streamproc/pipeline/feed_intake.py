"""Feed intake: what becomes of a feed's queued items: decoded, dropped, or kept undecoded while the camera is asleep."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamproc.contracts import Position, SourceTraits
from streamproc.core.media import EndOfStream, Frame, Gap, GapReason, Moment, Packet, StreamItem
from streamproc.media.decode import Decoder
from streamproc.pipeline.frame_pipeline import FramePipeline
from streamproc.pipeline.idle import IdleMode
from streamproc.pipeline.inbox import Inbox, Queued
from streamproc.pipeline.schedule import FrameSchedule
from streamproc.pipeline.setup import LaneSetup
from streamproc.pipeline.snapshot import LaneSnapshot
from streamproc.pipeline.stats import LaneStats


class FeedIntake:
    """Queue, decoder and idle mode of one feed in front of its ``FramePipeline``.

    ``arrived`` is called by the source's thread, ``deadline`` by any; everything else by one worker at a time, which stops once
    ``frames.sessions`` are over.
    """

    def __init__(self, setup: LaneSetup, stats: LaneStats, crowded: Callable[[], bool] = lambda: False) -> None:
        self.inbox = Inbox(setup.traits.live)
        self.idle = IdleMode(setup.name, setup.traits.live)
        self.frames = FramePipeline(setup, stats)
        self.schedule = FrameSchedule()
        self._stats = stats
        self._crowded = crowded
        self._decoder = Decoder(mask=setup.mask)

    @property
    def live(self) -> bool:
        return self.frames.traits.live

    @property
    def over(self) -> bool:
        """The session has had its summary."""
        return self.frames.sessions.over

    def arrived(self, item: StreamItem) -> None:
        """The source is about to queue an item."""
        if isinstance(item, Packet):
            self.idle.arrived(item, room=not self.inbox.nearly_full)
            if self.idle.asleep:
                self._stats.last_item = time.monotonic()

    def deadline(self) -> float | None:
        """When a worker is wanted for what is queued, in monotonic seconds; None: for nothing."""
        head = self.inbox.head()
        if self.idle.asleep:
            wanted = self.idle.wake_wanted
            return self.schedule.deadline_asleep(head, None if wanted else self._border(head), wanted)
        if head is None:
            return None
        if not self.live:
            return self.schedule.deadline_durable(head)
        held = isinstance(head.item, Packet | Frame) and self.idle.has_backlog(head.item.at)
        newest = self.frames.clock.to_session(media) if (media := self.inbox.newest_media()) is not None else None
        since, only = self.idle.served, self.frames.analyses.presence_within is not None
        return self.schedule.deadline(head, newest, since if held else None, first=since == 0.0, presence_only=only)

    def step(self) -> tuple[bool, EndOfStream | None]:
        """See to the next item. True: there may be more to do in this step. And the end of the feed, once it is reached."""
        outcome = (self._idle_step(), None) if self.idle.asleep else self._take()
        self.frames.asleep(self.idle.asleep)
        return outcome

    def attach(self, traits: SourceTraits, on_durable: Callable[[Position], None], why: str) -> None:
        """Another source follows, after a gap; its media time goes on where the last one's ended."""
        self.inbox.clear()
        self.inbox.live = self.idle.live = traits.live
        self._decoder = Decoder(mask=self.frames.mask)
        self.frames.attach(traits, on_durable)
        last = self.frames.sessions.last
        if last is not None:
            self.gap(Gap(GapReason.LOST, last, why))
        self.idle.reset()

    def resume(self, snapshot: LaneSnapshot, has_position: bool) -> None:
        """See ``Lane.resume``."""
        if has_position or snapshot.sessions is None:
            self._decoder = Decoder(after=snapshot.after, mask=self.frames.mask)
        self.frames.resume(snapshot, has_position)
        self._stats.last_item = time.monotonic()

    def gap(self, gap: Gap, by_source: bool = False) -> None:
        """The feed was interrupted. ``by_source``: its instant is by the source's count, else on the session's clock."""
        self._flush()
        self._decoder.reset()
        self.idle.reset()
        self.frames.gap(self.frames.clock.place_gap(gap) if by_source else gap)
        self.plan()

    def shut(self) -> None:
        """Nothing more will be seen to."""
        self.idle.reset()
        self.inbox.clear()
        self._decoder = Decoder(mask=self.frames.mask)  # whoever still knows the lane holds no pictures with it

    def plan(self) -> None:
        """Samplers have moved on."""
        self.schedule.plan(self.frames.analyses.next_due())

    # -- inside

    def _take(self) -> tuple[bool, EndOfStream | None]:
        """Handle one queued item. False: nothing is queued, or a frame was analysed."""
        if self._count_overflow() or self._skip_stale():
            self._decoder.reset()
        if (queued := self.inbox.take()) is None:
            return False, None
        item, analysed = queued.item, False
        self._stats.item(item, queued.arrived)
        match item:
            case Packet():
                analysed = self._packet(item, queued)
            case Frame():
                analysed = self._frame(item)
            case Gap():
                self.gap(item, by_source=True)
            case EndOfStream():
                self._flush()
                return False, item
        if not self.over:
            self.frames.clean = queued.position or self.frames.clean
        self.frames.checkpoint_if_due()
        return not analysed, None

    def _packet(self, packet: Packet, queued: Queued) -> bool:
        """True: a frame of it was analysed."""
        may_sleep = self.idle.may_sleep(packet)
        frames = self._decoder.decode(packet)
        analysed = [self._frame(frame) for frame in frames]
        if may_sleep and not self.over and self.idle.may_sleep(packet):
            held_back = self._decoder.flush()
            self.inbox.put_back(queued)  # asleep, the inbox holds what is needed to decode from here on
            self.idle.sleep([*frames, *held_back], self.frames.hold_until())
            analysed += [self._frame(frame) for frame in held_back]
        return any(analysed)

    def _idle_step(self) -> bool:
        """Asleep: see to the next keyframe. False: the step is over."""
        if self._count_overflow():
            self._decoder.reset()
        border = self._border(self.inbox.head())
        why = self.idle.reason_to_wake(border.item if border is not None else None)
        still = None
        if why is None and border is not None and isinstance(border.item, Packet):
            still = self._decoder.still(border.item)
            why = self.idle.compare(still)
        if why is not None:
            self.idle.wake_up(why, self.inbox.newest_media())
            return True
        if border is None or still is None:
            return False
        self.idle.held.given_up(still.at.media, self.inbox.drop_before(border))
        self._decoder.pass_over(still.at.media)
        self._stats.item(still, time.monotonic())
        self._frame(still)
        self.idle.held.until = self.frames.hold_until()
        self.frames.checkpoint_if_due()
        return False

    def _frame(self, frame: Frame) -> bool:
        """True: it was analysed."""
        if self.over:
            return False
        may_drop = self.live and not self._keeps(frame.at)
        outcome = self.frames.frame(frame, self.inbox.newest_media() if may_drop else None)
        if outcome.due:
            self.plan()
        if outcome.analysed:
            if (why := self.idle.reason_in_look(outcome.active, self.frames.analyses.presence_within)) is not None:
                self.idle.wake_up(why, self.inbox.newest_media())
            self.idle.analysed(outcome.active, frame.at)
        return outcome.analysed

    def _keeps(self, at: Moment) -> bool:
        """Whether a frame is analysed although newer ones wait: it was held back in sleep. In a crowd: it is the camera's very first."""
        return self._stats.first_frame is None if self._crowded() else self.idle.has_backlog(at)

    def _flush(self) -> None:
        """Frames that the decoder held back for reordering."""
        for frame in self._decoder.flush():
            self._frame(frame)

    def _border(self, head: Queued | None) -> Queued | None:
        """Asleep: the queued item to see to next: the newest keyframe where only packets lie before it, else a gap or an end."""
        found = self.inbox.newest_keyframe() or self.inbox.border()
        if found is None or head is None or not isinstance(found.item, Packet) or not isinstance(head.item, Packet):
            return found
        return found if self.idle.worth_comparing(found.item, head.item) else None

    def _count_overflow(self) -> bool:
        """Count what a full inbox threw away. True: there was something, so decoding begins anew."""
        lost, self.inbox.overflowed = self.inbox.overflowed, []
        if lost:
            self.frames.dropped(lost, "overflow")
            self.plan()
        return bool(lost)

    def _skip_stale(self) -> bool:
        """A live feed that is far behind goes on at its newest keyframe. True: it did, so decoding begins anew."""
        head = self.inbox.head()
        crowded = self._crowded()
        if head is None or not self.live or not self.schedule.is_stale(head, time.monotonic(), crowded):
            return False
        key = self.inbox.newest_keyframe()
        if key is None or not isinstance(head.item, Packet) or (not crowded and self.idle.has_backlog(head.item.at)):
            return False
        lost = (queued.item for queued in self.inbox.skip_to(key))
        self.frames.dropped([item.at.media for item in lost if isinstance(item, Packet)], "behind")
        self.plan()
        return True

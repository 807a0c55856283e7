"""One processor's pipeline, start to end in one thread at a time: decode, sample, look, decide, commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import structlog

from streamproc.contracts import Position
from streamproc.core.errors import StreamprocError
from streamproc.core.event import Event
from streamproc.core.media import EndOfStream, Frame, Gap, GapReason, Moment, Packet, StreamItem
from streamproc.logic.session import Place
from streamproc.media.decode import Decoder
from streamproc.pipeline.analysis import Look
from streamproc.pipeline.idle import IdleMode
from streamproc.pipeline.inbox import Inbox, Queued
from streamproc.pipeline.schedule import FrameSchedule
from streamproc.pipeline.setup import Decision, LaneSetup, pictures_of, stamped
from streamproc.pipeline.snapshot import LaneSnapshot, LaneState
from streamproc.pipeline.stall import STALL_S, StallDetector
from streamproc.pipeline.stats import LaneStats

log = structlog.get_logger(__name__)

SLICE_PACKETS = 12
"""Decode at most so many packets before somebody more urgent may have the worker."""
CHECKPOINT_S = 2.0
CHECKPOINT_LIVE_S = 5.0
"""Nobody can look again at what a camera showed meanwhile, so its state is written less often."""
RESUMED_JUMP = Fraction(1)
"""A live feed that goes on this much later than it was left has a gap: nobody watched meanwhile."""


class Lane:
    """See ``scheduler.Task``. Source threads call ``offer``; control calls ``end``, ``edit`` and ``check`` from any thread."""

    def __init__(self, parts: LaneSetup, wake: Callable[[], None] = lambda: None) -> None:
        self.parts = parts
        self.sessions = parts.sessions
        self.inbox = Inbox(parts.live)
        self.stats = LaneStats(parts.name)
        self.idle = IdleMode(parts.name, self.inbox)
        self.pace = FrameSchedule(parts, self.inbox, self.idle, self.stats)
        self.silence = StallDetector(parts, self.inbox, self.idle, self.stats)
        self.over = False
        self._wake = wake
        self._decoder = Decoder()
        self._lock = threading.RLock()
        self._reckoning = threading.Lock()
        self._urgency: float | None = None
        self._failure: str | None = None
        self._ending: tuple[str, Moment | None] | None = None
        self._resumed = False
        self._clean: Position | None = None
        self._checkpointed = time.monotonic()
        self._last_frame: Fraction | None = None
        """Media time, as the source has it, of the last frame that was seen."""

    # -- called by source threads and control

    def offer(self, item: StreamItem, position: Position | None, stop: threading.Event) -> bool:
        """Queue an item; waits while a durable feed is ahead. False: stopped meanwhile."""
        if isinstance(item, Packet):
            self.idle.arrived(item)
            if self.idle.asleep:
                self.stats.last_item = time.monotonic()
        taken = self.inbox.put(Queued(item, position, time.monotonic()), stop)
        self._call()
        return taken

    def end(self, reason: str, at: Moment | None = None) -> None:
        """End the session with its summary as soon as a worker gets to it; what is queued is not looked at."""
        self._ending = self._ending or (reason, at)
        self._call()

    def source_failed(self, words: str) -> None:
        """The source gave up: what is queued is looked at first, then the processor fails with these words."""
        self._failure = words
        self.offer(EndOfStream(f"failed: {words}"), None, threading.Event())

    def check_silence(self) -> None:
        """Let time pass on a feed that gives nothing: called about twice a second."""
        if not self.over and self.silence.check():
            self._call()

    def edit(self, change: Callable[[], None]) -> None:
        """Run ``change`` while no step runs."""
        with self._lock:
            change()
            self.pace.plan()

    def continue_log(self, after: Fraction | None) -> None:
        """A new session goes on in a log where the last one ended; its own time begins at nought."""
        self._last_frame = after
        self._decoder = Decoder(after=after)
        self.pace.shift = None

    def attach_anew(self) -> None:
        """Another source follows: its media time goes on where this one's ended."""
        with self._lock:
            self.inbox.clear()
            self.inbox.live = self.parts.live
            self.idle.reset()
            self._decoder = Decoder()
            self.pace.shift = None
            self._clean = None

    @property
    def ending(self) -> bool:
        """The session has ended, or somebody asked for its end."""
        return self.over or self._ending is not None

    def leave_open(self) -> bool:
        """Commit the state with the session open and do nothing more: no summary, ``on_over`` is not called. False: it has ended."""
        with self._lock:
            if self.ending:
                return False
            self._commit([])
            self.over = True
            self.idle.reset()
            self.inbox.clear()
            return True

    def interrupt(self, gap: Gap) -> None:
        """A gap that the source itself cannot know of. Within ``edit`` only."""
        self._gap(gap, placed=True)

    # -- called by a worker

    def urgency(self) -> float | None:
        return self._urgency

    def step(self) -> None:
        with self._lock:
            for _ in range(SLICE_PACKETS):
                if self.over or self._interrupted() or not (self._idle_step() if self.idle.asleep else self._take()):
                    break
        self.pace.served = time.monotonic()
        self._reckon()

    def fail(self, error: BaseException) -> None:
        """The pipeline broke: say so in the summary, as far as that still works."""
        with self._lock:
            words = str(error) or type(error).__name__
            try:
                self._finish(f"failed: {words}", None, words)
            except Exception:  # the disk may be what broke; the processor fails with the first error
                log.exception("summary_lost", processor=self.parts.name)
                self.over = True
                self.parts.on_over(words)

    def state(self) -> LaneState:
        """Snapshot of now. The position may lag: frames in between are decoded again on resume, but not analysed."""
        # A camera's trackers begin anew after a gap, so only feeds that can be read again need what was followed.
        analyses = [each.snapshot() for each in self.parts.analyses] if self.parts.replayable else []
        snapshot = LaneSnapshot(
            self.sessions.snapshot(), self._last_frame, self.pace.shift, dict(self.parts.request), analyses
        )
        return LaneState(snapshot, self._clean)

    def resume(self, snapshot: LaneSnapshot, has_position: bool) -> None:
        """Go on from ``state``; ``sessions`` was restored by the caller."""
        self._resumed = self.parts.live
        if has_position:
            self._last_frame = snapshot.after
            self.pace.shift = snapshot.shift
            self._decoder = Decoder(after=self._last_frame)
        else:
            self.pace.shift = None
        self.stats.last_item = time.monotonic()
        if len(snapshot.analyses) != len(self.parts.analyses):
            return
        for analysis, state in zip(self.parts.analyses, snapshot.analyses, strict=True):
            try:
                analysis.restore(state)
            except (
                StreamprocError
            ) as error:  # another version's, or sealed with another key: the session itself goes on
                log.warning("analysis_starts_anew", processor=self.parts.name, reason=str(error))
                analysis.reset()

    # -- inside

    def _call(self) -> None:
        """Something came: say how urgent, and wake a worker."""
        self._reckon()
        self._wake()

    def _reckon(self) -> None:
        """Work out the urgency once, so that workers choosing among many lanes only compare numbers."""
        with self._reckoning:
            self._urgency = self._deadline()

    def _deadline(self) -> float | None:
        if self.over:
            return None
        if self._ending is not None or self.silence.noticed:
            return 0.0
        return self.pace.deadline()

    def _interrupted(self) -> bool:
        """Do what control asked for. True: it took this step."""
        if self._ending is not None:
            reason, at = self._ending
            self._finish(reason, at)
            return True
        if self.silence.stalled:
            self.silence.stalled = False
            last = self.sessions.last
            if last is not None and not len(self.inbox):
                self._gap(Gap(GapReason.STALLED, last, f"nothing came for {STALL_S:g} s"), placed=True)
            return True
        if self.silence.over is not None:
            now, self.silence.over = self.silence.over, None
            self._commit([(event, None) for event in self.sessions.silence(now)])
            if self.sessions.over:
                self._close()
            return True
        return False

    def _take(self) -> bool:
        """Handle one queued item. False: the step is over (nothing queued, or a frame was looked at)."""
        if self.pace.count_overflow() or self.pace.skip():
            self._decoder.reset()
        queued = self.inbox.take()
        if queued is None:
            return False
        item, looked = queued.item, False
        self.stats.item(item, queued.arrived)
        match item:
            case Packet():
                looked = self._packet(item, queued)
            case Frame():
                looked = self._frame(item)
            case Gap():
                self._gap(item)
            case EndOfStream():
                for frame in self._decoder.flush():
                    self._frame(frame)
                if not self.over:
                    self._finish("end_of_stream" if item.reason == "end" else item.reason, None, self._failure)
        if not self.over:
            self._clean = queued.position or self._clean
            self._checkpoint_if_due()
        return not looked

    def _packet(self, packet: Packet, queued: Queued) -> bool:
        may_sleep = self.idle.may_sleep(packet)
        frames = self._decoder.decode(packet)
        looked = [self._frame(frame) for frame in frames]
        if may_sleep and not self.over and self.idle.hindrance() is None:
            held_back = self._decoder.flush()
            self.inbox.put_back(queued)  # asleep, the inbox holds what is needed to decode from here on
            self.idle.sleep([*frames, *held_back], self._hold_until())
            looked += [self._frame(frame) for frame in held_back]
        return any(looked)

    def _idle_step(self) -> bool:
        """Asleep: see to the next keyframe. False: the step is over."""
        if self.pace.count_overflow():
            self._decoder.reset()
        still = self.idle.next_still(self._decoder)
        if still is None:
            return not self.idle.asleep
        self.stats.item(still, time.monotonic())
        self._frame(still)
        self.idle.hold_until(self._hold_until())
        if not self.over:
            self._checkpoint_if_due()
        return False

    def _hold_until(self) -> Fraction | None:
        """In the source's media time: from then on the session must see frames whatever they show."""
        left = self.sessions.silent_until()
        return self._last_frame + left if left is not None and self._last_frame is not None else None

    def _frame(self, frame: Frame) -> bool:
        """True: it was looked at."""
        if self.over:
            return False
        seen, self._last_frame = frame.at, frame.at.media
        frame = self._placed(frame)
        media = frame.at.media
        due = self.pace.due(media)
        if not due:
            return False
        if not self.idle.has_backlog(seen) and self.pace.is_behind(due[0], media):
            self.pace.drop(due, media, "behind")
            return False
        trail = self.stats.decoded(frame)
        place = Place(frame.at, frame.fragment, frame.offset)
        looks = []
        for analysis in due:
            analysis.sampler.take(media)
            looks.append(analysis.look(frame))
        self.pace.plan()
        trail.mark("detect")
        self.stats.looked(looks)
        self.idle.looked(any(look.active for look in looks), seen)
        events = self._decide(place, looks)
        trail.mark("decide")
        if self.parts.latency:
            self.stats.stages.take(trail.marks)
            events = [stamped(event, trail) for event in events]
        if events:
            self._commit([(event, pictures_of(event, frame)) for event in events])
        for watcher in self.parts.watchers:
            watcher(frame, looks)
        if self.sessions.over:
            self._close()
        return True

    def _decide(self, place: Place, looks: list[Look]) -> list[Event]:
        events = self.sessions.frame(place, [sighting for look in looks for sighting in look.sightings])
        for look in looks:
            if look.record is not None:
                events += self.sessions.record(place, look.record)
        return events

    def _placed(self, frame: Frame) -> Frame:
        """The frame on the session's own media time."""
        last = self.sessions.last
        if self.pace.shift is None:
            self.pace.shift = -frame.at.media
            if last is not None:
                elapsed = Fraction(round((frame.at.wall - last.wall).total_seconds() * 1000), 1000)
                self.pace.shift = last.media + max(elapsed, Fraction(1, 25)) - frame.at.media
        if self.pace.shift:
            frame = replace(frame, at=replace(frame.at, media=frame.at.media + self.pace.shift))
        if self._resumed:
            self._resumed = False
            if last is not None and frame.at.media - last.media > RESUMED_JUMP and not self.sessions.in_gap:
                self._gap(Gap(GapReason.LOST, last, "nobody watched: streamproc was not running"), placed=True)
        return frame

    def _gap(self, gap: Gap, placed: bool = False) -> None:
        for frame in self._decoder.flush():
            self._frame(frame)
        self._decoder.reset()
        self.idle.reset()
        last = self.sessions.last
        at = gap.at if placed else replace(gap.at, media=gap.at.media + (self.pace.shift or 0))
        if last is not None or self.parts.live:  # a log may begin after a hole: nothing of this session is missing
            self.sessions.gap(replace(gap, at=last if last is not None and last.media > at.media else at))
        self.stats.gap(gap)
        for analysis in self.parts.analyses:
            analysis.reset()
        self.pace.restart()

    def _checkpoint_if_due(self) -> None:
        interval = CHECKPOINT_LIVE_S if self.parts.live else CHECKPOINT_S
        if self.parts.checkpoints and time.monotonic() - self._checkpointed >= interval:
            self._commit([])

    def _commit(self, told: list[Decision]) -> None:
        """Make events durable, together with the state that decided them."""
        self._checkpointed = time.monotonic()
        state = self.state() if self.parts.checkpoints and not self.sessions.over else None
        self.parts.committer.commit(told, self.sessions, state)
        self.stats.told([event for event, _ in told], live=self.parts.latency)
        if self._clean is not None:
            self.parts.on_durable(self._clean)

    def _finish(self, reason: str, at: Moment | None, error: str | None = None) -> None:
        last = self.sessions.last
        if at is None:
            at = last or Moment(Fraction(0), datetime.now(UTC))
            if last is not None and self.parts.live and self.sessions.in_gap:
                at = self.silence.now(last)
        self._commit([(event, None) for event in self.sessions.end(reason, at)])
        self._close(error)

    def _close(self, error: str | None = None) -> None:
        self.over = True
        self.idle.reset()
        self.inbox.clear()
        self.parts.on_over(error)

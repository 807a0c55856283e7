"""Lane: one camera's pipeline as the scheduler and control see it: decode, sample, analyse, decide, commit, by one thread at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from streamproc.contracts import Position
from streamproc.core.decisions import Aspect
from streamproc.core.media import EndOfStream, Gap, GapReason, Moment, StreamItem
from streamproc.logic.session import Sessions
from streamproc.pipeline import stall
from streamproc.pipeline.feed_intake import FeedIntake
from streamproc.pipeline.inbox import Queued
from streamproc.pipeline.setup import LaneSetup
from streamproc.pipeline.snapshot import LaneSnapshot
from streamproc.pipeline.stats import LaneStats

log = structlog.get_logger(__name__)

SLICE_PACKETS = 12
"""Packets decoded in one step at most, before a more urgent lane may have the worker: half a second of a camera with 25 frames a second."""
MOST_PACKETS = 48
"""The same while other lanes wait too: a turn has to reach the newest frame, since more packets than a slice may come before the next turn."""


class Lane:
    """Threads, urgency and end of one camera around its ``FeedIntake`` and ``FramePipeline``. See ``scheduler.Task``.

    Source threads call ``offer``; control calls ``end``, ``edit`` and ``check_silence`` from any thread; workers call ``step``.
    """

    def __init__(
        self, setup: LaneSetup, wake: Callable[[], None] = lambda: None, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        """``wake``: called when something that a worker is wanted for has come. ``crowded``: whether other lanes have waited too long."""
        self.name = setup.name
        self.on_over = setup.on_over
        self.stats = LaneStats(setup.name)
        self.intake = FeedIntake(setup, self.stats, crowded)
        self.frames = self.intake.frames
        self.idle = self.intake.idle
        self.over = False
        self._wake, self._crowded = wake, crowded
        self._lock = threading.RLock()
        self._reckoning = threading.Lock()
        self._urgency: float | None = None
        self._failure: str | None = None
        self._ending: tuple[str, Moment | None] | None = None
        self._silence = stall.QUIET

    @property
    def live(self) -> bool:
        return self.intake.live

    @property
    def sessions(self) -> Sessions:
        return self.frames.sessions

    # -- called by source threads and control

    def offer(self, item: StreamItem, position: Position | None, stop: threading.Event) -> bool:
        """Queue an item; waits while a durable feed is ahead. False: stopped meanwhile."""
        self.intake.arrived(item)
        taken = self.intake.inbox.put(Queued(item, position, time.monotonic()), stop)
        self._call()
        return taken

    def end(self, reason: str, at: Moment | None = None) -> None:
        """End the session with its summary as soon as a worker gets to it; what is queued is not analysed."""
        self._ending = self._ending or (reason, at)
        self._call()

    @property
    def ending(self) -> bool:
        """The session has ended, or somebody asked for its end."""
        return self.over or self._ending is not None

    def source_failed(self, words: str) -> None:
        """The source gave up: what is queued is analysed first, then the processor fails with these words."""
        self._failure = words
        self.offer(EndOfStream(f"failed: {words}"), None, threading.Event())

    def check_silence(self, reading: bool = True) -> None:
        """Let time pass on a feed that gives nothing: called about twice a second. ``reading``: see ``FeedStatus``."""
        if self.over:
            return
        feed = stall.FeedStatus(
            self.frames.traits,
            self.stats.source == "running",
            self.idle.asleep,
            len(self.intake.inbox) > 0 or self._silence.over is not None,
            self.stats.quiet_s,
            reading,
        )
        verdict = stall.judge(feed, self.sessions.last, self.sessions.silent_until(), datetime.now(UTC))
        if self.frames.health.offline_due(feed.traits, self.stats.source):
            verdict = replace(verdict, offline=True)
        if verdict.wake:
            self.idle.wake("stall")
        elif verdict:
            self._silence = verdict
        if verdict:
            self._call()

    def edit(self, change: Callable[[], None]) -> None:
        """Run ``change`` while no step runs."""
        with self._lock:
            change()
            self.intake.plan()

    def leave_open(self) -> bool:
        """Commit the state with the session open and do nothing more: no summary, ``on_over`` is not called. False: it has ended."""
        with self._lock:
            if self.ending:
                return False
            self.frames.commit([])
            self._shut()
            return True

    def resume(self, snapshot: LaneSnapshot, has_position: bool) -> None:
        """Go on from a snapshot, before anything is offered. ``has_position``: the source goes on in the same count of media time.

        Where the snapshot holds no session, a new one begins behind the last frame of before.
        """
        self.intake.resume(snapshot, has_position)

    # -- called by a worker

    def urgency(self) -> float | None:
        return self._urgency

    def step(self) -> None:
        with self._lock:
            for number in range(MOST_PACKETS):
                if self.over or self._interrupted() or not self._advance():
                    break
                if number + 1 >= SLICE_PACKETS and not self._crowded():
                    break
        self.intake.schedule.served = time.monotonic()
        self._reckon()

    def fail(self, error: BaseException) -> None:
        """The pipeline broke: say so in the summary, as far as that still works."""
        with self._lock:
            words = str(error) or type(error).__name__
            try:
                self._finish(f"failed: {words}", None, words)
            except Exception:  # the disk may be what broke; the processor fails with the first error
                log.exception("summary_lost", processor=self.name)
                self.over = True
                self.on_over(words)

    # -- urgency

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
        if self._ending is not None or self._silence:
            return 0.0
        return self.intake.deadline()

    # -- one step

    def _interrupted(self) -> bool:
        """Do what control asked for. True: it took this step."""
        if self._ending is not None:
            reason, at = self._ending
            self._finish(reason, at)
            return True
        if not self._silence:
            return False
        silence, self._silence = self._silence, stall.QUIET
        last = self.sessions.last
        if silence.stalled and last is not None and not len(self.intake.inbox):
            self.intake.gap(Gap(GapReason.STALLED, last, f"nothing came for {stall.STALL_S:g} s"))
        if silence.offline:
            self.frames.offline()
        if silence.over is not None:
            self.frames.silence(silence.over)
        if self.sessions.over:
            self._close()
        return True

    def _advance(self) -> bool:
        """See to what is queued. False: the step is over."""
        more, end = self.intake.step()
        if self.sessions.over:
            self._close()
        elif end is not None:
            self._finish("end_of_stream" if end.reason == "end" else end.reason, None, self._failure)
        return more

    # -- the end

    def _finish(self, reason: str, at: Moment | None, error: str | None = None) -> None:
        self.frames.finish(reason, at)
        self._close(error)

    def _close(self, error: str | None = None) -> None:
        self._shut()
        self.on_over(error)

    def _shut(self) -> None:
        last = self.sessions.last
        # By the feed's own time, where that is not the present.
        self.frames.trace.condition(Aspect.FEED, "over", at=last.wall if last is not None and not self.live else None)
        self.over = True
        self.intake.shut()

"""Frame pipeline: what becomes of one decoded frame: placed on the session's clock, analysed, decided, made durable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from streamproc.contracts import Position, SourceTraits
from streamproc.core.decisions import Aspect
from streamproc.core.event import Event, EventType
from streamproc.core.media import Frame, Gap, GapReason, Moment
from streamproc.logic.attention import EVERYTHING
from streamproc.logic.camera_health import HealthChange
from streamproc.logic.sighting import Place
from streamproc.pipeline import stall
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.analysis_set import AnalysisSet
from streamproc.pipeline.health import HealthMonitor, event_data
from streamproc.pipeline.observers import Observers
from streamproc.pipeline.pictures import stamped, with_pictures
from streamproc.pipeline.recorder import Decision, Recorder
from streamproc.pipeline.session_clock import SessionClock, later_of
from streamproc.pipeline.setup import FrameObserver, LaneSetup
from streamproc.pipeline.snapshot import LaneSnapshot, LaneState
from streamproc.pipeline.stats import LaneStats
from streamproc.pipeline.trace import FrameTracer


@dataclass(frozen=True, slots=True)
class FrameOutcome:
    """What became of a frame."""

    due: bool = False
    """Some analysis wanted it."""
    analysed: bool = False
    """False, though due: dropped, since a newer one waits that is due too."""
    active: bool = False
    """Something moves in it, or is being decided."""


NOT_DUE = FrameOutcome()


class FramePipeline:
    """Frames and gaps of one feed in, durable decisions out. Called by one thread at a time, in the feed's order."""

    def __init__(self, setup: LaneSetup, stats: LaneStats) -> None:
        self.traits: SourceTraits = setup.traits
        self.request: Mapping[str, Any] = setup.request
        self.sessions = setup.sessions
        self.hours = setup.hours
        self.mask = setup.mask
        self.clock = SessionClock()
        self.analyses = AnalysisSet(setup.name, setup.analyses)
        self.observers: Observers[FrameObserver] = Observers()
        self.trace = FrameTracer()
        self.health = HealthMonitor(setup.health, setup.mask)
        self.recorder = Recorder(setup.committer, setup.checkpoints, setup.on_durable)
        self.clean: Position | None = None
        """Place in the source behind the last item that left nothing half done."""
        self.recorder.note(time.monotonic())
        self.boxes_wanted: Callable[[], bool] = lambda: False
        """Whether somebody follows the boxes of every frame."""
        self._photograph: Frame | None = None
        """The first picture, while it is the only one."""
        self._pictures = 0
        self._latency = setup.latency
        self._takes_over = setup.takes_over
        self._stats = stats

    def frame(self, frame: Frame, newest: Fraction | None) -> FrameOutcome:
        """Take in the next frame. ``newest``: media time (the source's) of the newest picture that waits behind it, where frames
        that came too late are to be dropped; None: every frame counts."""
        before = self.sessions.last
        frame = self._placed(frame)
        media = frame.at.media
        if before is not None and not self.traits.live:  # a camera's pictures are far apart only while it sleeps
            self.analyses.spaced(float(media - before.media))
        due = self.analyses.due(media)
        self.trace.decoded()
        self._tell_health(self.health.frame(frame, self.traits, due=bool(due)), frame.at)
        if not due:
            return NOT_DUE
        if newest is not None and due[0].sampler.later_slot(media, self.clock.to_session(newest)):
            self.analyses.pass_over(media)
            self._stats.dropped("behind")
            self.trace.dropped(frame.at, "behind")
            return FrameOutcome(due=True)
        self._pictures += 1
        self._photograph = frame if self._pictures == 1 and before is None else None
        trail = self._stats.decoded(frame)
        results = self.analyses.analyse(frame, due)
        trail.mark("detect")
        self._stats.analysed([result.runs for result in results])
        events = self._decide(Place(frame.at, frame.fragment, frame.offset), results)
        if self.traits.live:  # what can be read again is decided the same however often
            self.analyses.attend(EVERYTHING if self.boxes_wanted() else self.sessions.news)
        trail.mark("decide")
        self.trace.running(frame.at)
        self.trace.analysed(frame.at, results, events, self.sessions.announced)
        if self._latency:
            self._stats.stages.take(trail.marks)
            events = [stamped(event, trail) for event in events]
        if events:
            self.commit(with_pictures(events, frame.picture, self.analyses.hides))
        for observer in self.observers.all():
            observer(frame, results)
        return FrameOutcome(due=True, analysed=True, active=any(result.active for result in results))

    def gap(self, gap: Gap) -> None:
        """The feed was interrupted, at an instant on the session's clock; every analysis begins anew."""
        last = self.sessions.last
        if last is not None or self.traits.live:  # a log may begin after a hole: nothing of this session is missing
            self.sessions.gap(later_of(gap, last))
        self._stats.gap(gap)
        self.health.gap()
        self.trace.condition(Aspect.FEED, "gap", self._stats.why, gap.at.wall)
        self.analyses.reset()

    def offline(self) -> None:
        """The feed has given nothing for as long as makes a camera offline."""
        last = self.sessions.last
        at = stall.present(last, self._stats.quiet_s) if last is not None else Moment(Fraction(0), datetime.now(UTC))
        self._tell_health(self.health.offline(self._stats.why or "it gives no picture"), at)

    def asleep(self, asleep: bool) -> None:
        """Whether idle mode holds packets back, told after each step of the feed."""
        self.trace.asleep(asleep)
        self.health.asleep(asleep)

    def silence(self, now: Moment) -> None:
        """The session's time is up without a frame that says so."""
        self.commit([(event, None) for event in self.sessions.silence(now)])

    def finish(self, reason: str, at: Moment | None) -> None:
        """End the session with its summary. ``at``: on its clock; None: its last frame, or the present where a live feed is in a gap."""
        if reason == "end_of_stream" and self._photograph is not None:
            self._conclude(self._photograph)
        last = self.sessions.last
        if at is None:
            at = last or Moment(Fraction(0), datetime.now(UTC))
            if last is not None and self.traits.live and self.sessions.in_gap:
                at = stall.present(last, self._stats.quiet_s)
        self.commit([(event, None) for event in self.sessions.end(reason, at)])

    def dropped(self, lost: Sequence[Fraction], reason: str) -> None:
        """Pictures (media times by the source's count) were thrown away undecoded: count those that were due."""
        self.health.pause()
        count = 0
        for media in lost:
            if self.analyses.pass_over(self.clock.to_session(media)):
                self._stats.dropped(reason)
                count += 1
        last = self.sessions.last
        if count and last is not None:
            self.trace.dropped(last.after(self.clock.to_session(lost[-1]) - last.media), reason, count)

    def hold_until(self) -> Fraction | None:
        """Media time, by the source's count, from which on frames must be seen whatever they show: for the session, or as hours begin."""
        last, waits = self.sessions.last, self.sessions.silent_until()
        opening = self.hours.next_opening(last.wall) if last is not None else None
        if opening is not None and last is not None:
            until = Fraction(round((opening - last.wall).total_seconds() * 1000), 1000)
            waits = until if waits is None else min(waits, until)
        return self.clock.source_time_in(waits)

    def attach(self, traits: SourceTraits, on_durable: Callable[[Position], None]) -> None:
        """Another source follows."""
        self.traits, self.recorder.on_durable, self.clean = traits, on_durable, None
        self.clock.attach()

    # -- state

    def state(self) -> LaneState:
        """Snapshot of now. The position may lag: frames in between are decoded again on resume, but not analysed."""
        # A camera's trackers begin anew after a gap, so only feeds that can be read again need what was followed.
        analyses = self.analyses.snapshot() if self.traits.replayable else []
        sessions, clock = self.sessions.snapshot(), self.clock
        return LaneState(LaneSnapshot(sessions, clock.seen, clock.shift, dict(self.request), analyses), self.clean)

    def resume(self, snapshot: LaneSnapshot, has_position: bool) -> None:
        """Go on from a snapshot; its session was restored by whoever made ``sessions``. See ``Lane.resume``."""
        if snapshot.sessions is None:
            self.clock.begin_after(snapshot.after)
            return
        if has_position:
            self.clock.resume_at(snapshot.shift, snapshot.after, live=self.traits.live)
        else:
            self.clock.resume(live=self.traits.live)
        self.analyses.restore(snapshot.analyses)

    def checkpoint_if_due(self) -> None:
        if not self.sessions.over and self.recorder.is_due(self.traits.live, time.monotonic()):
            self.commit([])

    def commit(self, told: list[Decision]) -> None:
        """Make events durable, together with the state that decided them."""
        self.recorder.note(time.monotonic())
        state = self.state() if self.recorder.checkpoints and not self.sessions.over else None
        self.recorder.commit(told, self.sessions, state, self.clean)
        self._stats.told([event for event, _ in told], live=self._latency)

    # -- inside

    def _placed(self, frame: Frame) -> Frame:
        """The frame on the session's clock; the gap of a restart is noticed with its first frame."""
        last = self.sessions.last
        at, jumped = self.clock.place(frame.at, last)
        if jumped and last is not None and not self.sessions.in_gap:
            if self._takes_over:
                self.gap(Gap(GapReason.TAKEOVER, last, "nobody watched until this node took over"))
            else:
                self.gap(Gap(GapReason.LOST, last, "nobody watched: streamproc was not running"))
        return frame if at is frame.at else replace(frame, at=at)

    def _conclude(self, frame: Frame) -> None:
        """The feed was this one picture: what it shows for sure is announced."""
        sightings = self.analyses.conclude()
        events = self.sessions.frame(Place(frame.at, frame.fragment, frame.offset), sightings) if sightings else []
        if events:
            self.commit(with_pictures(events, frame.picture, self.analyses.hides))

    def _tell_health(self, changes: Sequence[HealthChange], at: Moment) -> None:
        told = [self.sessions.record(Place(at), event_data(change), EventType.CAMERA_HEALTH) for change in changes]
        if told:
            self.commit([(event, None) for events in told for event in events])

    def _decide(self, place: Place, results: Sequence[FrameResult]) -> list[Event]:
        events = self.sessions.frame(place, [sighting for result in results for sighting in result.sightings])
        for result in results:
            if result.record is not None:
                events += self.sessions.record(place, result.record)
        return events

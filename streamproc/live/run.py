"""One run of a processor: its source's thread, its lane, its way into the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import Source
from streamproc.core.start import StartRequest
from streamproc.live import character
from streamproc.live.assembly import make_analyses, make_hours, make_mask, retune, session_rules, with_start
from streamproc.live.commit import JournalCommitter
from streamproc.live.feeder import Feeder, ItemObserver
from streamproc.live.patience import PatientJournal
from streamproc.live.resume import Resumed, origin_document
from streamproc.logic.hours import Override
from streamproc.logic.session import Sessions
from streamproc.logic.session_records import session_id
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.observers import Observers
from streamproc.pipeline.scheduler import Scheduler
from streamproc.pipeline.setup import LaneSetup
from streamproc.store.journal import Checkpoint, Journal


@dataclass(frozen=True)
class SharedServices:
    """What every run of this node shares."""

    journal: Journal
    decisions: PatientJournal
    scheduler: Scheduler
    provider: ModelProvider
    takes_over: bool = False
    """Whether what is resumed may be of another node."""


@dataclass(frozen=True)
class RunSpec:
    """What is to be run."""

    name: str
    config: ProcessorConfig
    context: ConnectorContext
    request: StartRequest
    run_id: str
    stagger: int

    @property
    def session(self) -> str:
        """The id that Start answers with: the session's, or in continuous mode the run's own."""
        return session_id(self.run_id, 0) if self.config.session.mode == "session" else self.run_id


class Run:
    """Made in a worker thread (models load), then started from the loop. ``on_over`` is called from a worker, once."""

    def __init__(
        self,
        spec: RunSpec,
        shared: SharedServices,
        committer: JournalCommitter,
        on_over: Callable[[str | None], None],
        resumed: Resumed | None = None,
    ) -> None:
        self.spec = spec
        self.committer = committer
        self._shared = shared
        self._stopped = False
        source = self._make_source(spec.config)
        self.traits = source.traits
        resumed = self._usable(resumed)
        hours = make_hours(spec.config)
        analyses = make_analyses(spec.config, shared.provider, self._phase(), hours)
        self.lane = Lane(
            LaneSetup(
                spec.name,
                source.traits,
                self._sessions(resumed),
                analyses,
                committer,
                request=origin_document(spec.config, spec.request),
                hours=hours,
                mask=make_mask(spec.config),
                health=spec.config.health,
                latency=source.traits.live,
                takes_over=shared.takes_over,
                on_over=on_over,
                on_durable=source.durable,
            ),
            wake=shared.scheduler.wake,
            crowded=shared.scheduler.crowded,
        )
        self.lane.idle.settings = spec.config.idle
        character.recall(shared.journal.database, spec.name, spec.config.source, self.lane.idle)
        position = resumed.position if resumed is not None else None
        if resumed is not None:
            self.lane.resume(resumed.snapshot, position is not None)
            # What is committed before the source gives anything must not forget where it stands.
            self.lane.frames.clean = position
        self.items: Observers[ItemObserver] = Observers()
        """Called in the source's thread with every item of the feed: viewers."""
        self.feeder = Feeder(spec.name, source, self.lane, self.items, position)

    def start(self) -> None:
        """Write down that the session began, then read."""
        self.lane.frames.commit([])
        self._shared.scheduler.add(self.lane)
        self.feeder.start()

    def end(self, reason: str) -> None:
        """Ask for the summary; ``on_over`` tells when it is durable."""
        self.lane.end(reason)

    def close(self) -> None:
        """After ``on_over``: let go of the source. Blocks for up to a few seconds."""
        if not self._stopped:
            self._stopped = True
            self._shared.scheduler.remove(self.lane)
            self.feeder.stop()
            self._keep_character()

    def hand_over(self) -> bool:
        """Let go of the run without ending its session: for a process that takes over within seconds.

        The source is stopped and released, the state is committed with the session open, and the scheduler forgets the lane. No
        summary is written and ``on_over`` is not called. The next process finds the checkpoint (``resume.read_checkpoint``) and goes
        on: a replayable feed or a backlog from its position, a live feed with a gap. Nothing else may be called afterwards.

        False: the session has ended meanwhile, or was asked to; nothing was handed over, go on with ``end`` and ``close`` as ever.
        Blocks for up to a few seconds.
        """
        if self._stopped or self.lane.ending:
            return False
        self.feeder.stop()
        if not self.lane.leave_open():
            return False
        self._stopped = True
        self._shared.scheduler.remove(self.lane)
        self._keep_character()
        return True

    def _keep_character(self) -> None:
        if self.traits.live:
            character.keep(self._shared.journal.database, self.spec.name, self.spec.config.source, self.lane.idle)

    def left_at(self) -> Checkpoint | None:
        """Where the next session goes on, of a source that keeps a backlog."""
        if not self.traits.keeps_backlog:
            return None
        state = self.lane.frames.state()
        if state.position is None:
            return None
        return Checkpoint(replace(state.snapshot, sessions=None, analyses=[]).encode(), state.position)

    # -- edits in place

    def adjust(self, config: ProcessorConfig) -> None:
        """Confidence, regions, rate, durations: nothing is interrupted."""

        def change() -> None:
            retune(self.lane.frames.analyses.items, config)
            self.lane.frames.mask.adopt(make_mask(config))
            self.lane.idle.adopt(config.idle)
            self.lane.frames.health.settings = config.health
            self.lane.sessions.rules = session_rules(config, self.spec.request)
            self._adopt(config)

        self.lane.edit(change)

    def override(self, override: Override | None) -> None:
        """What somebody says over the schedule; a camera that is asleep is looked at."""

        def change() -> None:
            self.lane.frames.hours.override = override
            self.lane.idle.wake("settings")

        self.lane.edit(change)

    def replace_perceivers(self, config: ProcessorConfig) -> None:
        """Other classes or models: the source and the session go on; tracks are evaluated again from nothing."""
        analyses = make_analyses(config, self._shared.provider, self._phase(), self.lane.frames.hours)

        def change() -> None:
            self.lane.frames.analyses.items = analyses
            self._adopt(config)

        self.lane.edit(change)
        self.adjust(config)

    def replace_source(self, config: ProcessorConfig) -> None:
        """Another feed for the same session, with a gap between."""
        source = self._make_source(config)  # before the old one is given up: a wrong setting must not stop it
        self.feeder.stop()

        def change() -> None:
            self.traits = source.traits
            self.lane.intake.attach(source.traits, source.durable, "the source was changed")
            self._adopt(config)

        self.lane.edit(change)
        self.feeder = Feeder(self.spec.name, source, self.lane, self.items)
        self.feeder.start()

    # -- inside

    def _adopt(self, config: ProcessorConfig) -> None:
        """The document that the run now follows. Within ``lane.edit`` only."""
        self.spec = replace(self.spec, config=config)
        self.lane.frames.request = origin_document(config, self.spec.request)

    def _phase(self) -> int | None:
        """The feed's number among the staggered ones; None where the same frames must be chosen on every run."""
        return self.spec.stagger if self.traits.live and not self.traits.replayable else None

    def _make_source(self, config: ProcessorConfig) -> Source:
        return make_source(with_start(config, self.spec.request).source, self.spec.context)

    def _sessions(self, resumed: Resumed | None) -> Sessions:
        rules = session_rules(self.spec.config, self.spec.request)
        if resumed is not None and resumed.snapshot.sessions is not None:
            return Sessions.restore(self.spec.name, rules, resumed.snapshot.sessions)
        return Sessions(self.spec.name, rules, self.spec.run_id)

    def _usable(self, resumed: Resumed | None) -> Resumed | None:
        """What this source can go on from.

        A new session goes on only from a backlog. A replayable feed without a position begins anew: the same frames decide the
        same events.
        """
        if resumed is None or (resumed.run_id is None and not self.traits.keeps_backlog):
            return None
        return None if resumed.position is None and self.traits.replayable else resumed

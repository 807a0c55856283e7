"""One run of a processor: its source's thread, its lane, its way into the journal."""

from __future__ import annotations

import json
import pickle
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.contracts import Source
from streamproc.core.media import Gap, GapReason
from streamproc.core.start import StartRequest
from streamproc.live.assembly import ModelProvider, make_analyses, retune, session_rules, with_start
from streamproc.live.commit import JournalCommitter
from streamproc.live.feeder import Feeder
from streamproc.logic.session import Sessions, session_id
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.scheduler import Scheduler
from streamproc.pipeline.setup import LaneSetup
from streamproc.store.journal import Checkpoint, Journal

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SharedServices:
    """What every run of this box shares."""

    journal: Journal
    scheduler: Scheduler
    provider: ModelProvider


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


@dataclass(frozen=True)
class Resumed:
    """What a killed process left."""

    snapshot: dict[str, Any]
    checkpoint: Checkpoint

    @property
    def run_id(self) -> str | None:
        sessions = self.snapshot.get("sessions")
        return str(sessions["run"]) if sessions else None

    @property
    def session(self) -> str | None:
        """The session that was cut off; None in continuous mode, where each visit is one."""
        if self.run_id is None or self.snapshot["request"]["mode"] != "session":
            return None
        return session_id(self.run_id, 0)

    def without_session(self) -> Resumed:
        """What a new session goes on from, where the source keeps a backlog: the place in it."""
        return Resumed({**self.snapshot, "sessions": None, "analyses": []}, self.checkpoint)

    @property
    def request(self) -> StartRequest:
        return StartRequest(**self.snapshot.get("request", {}).get("start", {}))


def new_run_id() -> str:
    return str(uuid.uuid4())


def read_checkpoint(checkpoint: Checkpoint | None, config: ProcessorConfig) -> Resumed | None:
    """The state that can be gone on from; None where there is none, or it cannot be read, or it is of another source."""
    if checkpoint is None or checkpoint.snapshot is None:
        return None
    try:
        snapshot = pickle.loads(zlib.decompress(checkpoint.snapshot))
        resumed = Resumed(snapshot, checkpoint)
        if snapshot["version"] != 1 or snapshot["request"]["source"] != source_key(config.source):
            return None
        if snapshot["request"]["mode"] != config.session.mode:
            return None
    except Exception as error:  # noqa: BLE001  written by another version: a new session is the best that can be had
        log.warning("checkpoint_unreadable", reason=str(error))
        return None
    return resumed


def left_sessions(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    """The session state of a killed process, whatever became of its source; None where no session was cut off."""
    if checkpoint is None or checkpoint.snapshot is None:
        return None
    try:
        snapshot = pickle.loads(zlib.decompress(checkpoint.snapshot))
        sessions: dict[str, Any] | None = snapshot["sessions"]
    except Exception as error:  # noqa: BLE001  written by another version: there is nothing to end
        log.warning("checkpoint_unreadable", reason=str(error))
        return None
    return sessions


def source_key(ref: ConnectorRef) -> str:
    return json.dumps({"type": ref.type, **ref.options}, sort_keys=True, default=str)


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
        live = source.traits.live
        analyses = make_analyses(spec.config, shared.provider, self._phase())
        self.lane = Lane(
            LaneSetup(
                spec.name,
                live,
                self._sessions(resumed),
                analyses,
                committer,
                waits=source.traits.waits_for_publisher,
                request=self._kept(spec.config),
                latency=live,
                replayable=source.traits.replayable,
                on_over=on_over,
                on_durable=source.durable,
            ),
            wake=shared.scheduler.wake,
        )
        self.lane.idle.settings = spec.config.idle
        position = self._go_on(resumed)
        self.feeder = Feeder(spec.name, source, self.lane, position)

    def start(self) -> None:
        """Write down that the session began, then read."""
        state = self.lane.state()
        self.committer.commit([], self.lane.sessions, state)
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

    def left_at(self) -> Checkpoint | None:
        """Where the next session goes on, of a source that keeps a backlog."""
        if not self.traits.keeps_backlog:
            return None
        state = self.lane.state()
        if state.position is None:
            return None
        snapshot = pickle.loads(zlib.decompress(state.snapshot)) | {"sessions": None, "analyses": []}
        return Checkpoint(zlib.compress(pickle.dumps(snapshot, protocol=5)), state.position)

    # -- edits in place

    def adjust(self, config: ProcessorConfig) -> None:
        """Confidence, regions, rate, durations: nothing is interrupted."""

        def change() -> None:
            retune(self.lane.parts.analyses, config)
            self.lane.idle.adopt(config.idle)
            self.lane.sessions.rules = session_rules(config, self.spec.request)
            self._adopt(config)

        self.lane.edit(change)

    def replace_perceivers(self, config: ProcessorConfig) -> None:
        """Other classes or models: the source and the session go on; what is followed is looked at anew."""
        analyses = make_analyses(config, self._shared.provider, self._phase())

        def change() -> None:
            self.lane.parts.analyses = analyses
            self._adopt(config)

        self.lane.edit(change)
        self.adjust(config)

    def replace_source(self, config: ProcessorConfig) -> None:
        """Another feed for the same session, with a gap between."""
        source = self._make_source(config)  # before the old one is given up: a wrong setting must not stop it
        self.feeder.stop()
        last = self.lane.sessions.last
        self.traits = source.traits
        self.lane.parts.live = source.traits.live
        self.lane.parts.replayable = source.traits.replayable
        self.lane.parts.waits = source.traits.waits_for_publisher
        self.lane.parts.on_durable = source.durable
        self.lane.attach_anew()
        if last is not None:
            self.lane.edit(lambda: self.lane.interrupt(Gap(GapReason.LOST, last, "the source was changed")))
        self._adopt(config)
        taps = self.feeder.taps
        self.feeder = Feeder(self.spec.name, source, self.lane)
        self.feeder.taps = taps
        self.feeder.start()

    # -- inside

    def _adopt(self, config: ProcessorConfig) -> None:
        self.spec = RunSpec(**{**self.spec.__dict__, "config": config})
        self.lane.parts.request = self._kept(config)

    def _phase(self) -> int | None:
        """The feed's number among the staggered ones; None where the same frames must be chosen on every run."""
        return self.spec.stagger if self.traits.live and not self.traits.replayable else None

    def _make_source(self, config: ProcessorConfig) -> Source:
        return make_source(with_start(config, self.spec.request).source, self.spec.context)

    def _kept(self, config: ProcessorConfig) -> dict[str, Any]:
        request = self.spec.request
        start = {
            "at": dict(request.at) if request.at else None,
            "duration_s": request.duration_s,
            "echo": dict(request.echo),
        }
        return {"start": start, "source": source_key(config.source), "mode": config.session.mode}

    def _sessions(self, resumed: Resumed | None) -> Sessions:
        rules = session_rules(self.spec.config, self.spec.request)
        if resumed is not None and resumed.run_id:
            return Sessions.restore(self.spec.name, rules, resumed.snapshot["sessions"])
        return Sessions(self.spec.name, rules, self.spec.run_id)

    def _usable(self, resumed: Resumed | None) -> Resumed | None:
        """What this source can go on from.

        A new session goes on only from a backlog. A replayable feed without a position begins anew: the same frames decide the
        same events.
        """
        if resumed is None or (resumed.run_id is None and not self.traits.keeps_backlog):
            return None
        return None if resumed.checkpoint.position is None and self.traits.replayable else resumed

    def _go_on(self, resumed: Resumed | None) -> Any:
        if resumed is None:
            return None
        position = resumed.checkpoint.position
        if resumed.run_id is None:
            self.lane.continue_log(resumed.snapshot.get("after"))
        else:
            self.lane.resume(resumed.snapshot, position is not None)
        return position

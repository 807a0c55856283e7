"""One processor of the box: its document, its state, and its run while it has one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from connectors.context import ConnectorContext
from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import Explains
from streamproc.core.errors import StreamprocError
from streamproc.core.event import Event
from streamproc.core.start import StartRequest
from streamproc.live.assembly import same_perception, session_rules
from streamproc.live.commit import JournalCommitter
from streamproc.live.resume import Resumed, close_left_over, new_run_id, read_checkpoint, source_key
from streamproc.live.run import Run, RunSpec, SharedServices
from streamproc.live.view import ProcessorView
from streamproc.logic.lifecycle import Lifecycle, State, Trigger
from streamproc.store.journal import Checkpoint, Commit
from streamproc.store.processors import ProcessorRow, ProcessorStore, document_hash

log = structlog.get_logger(__name__)
END_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ProcessorServices:
    """What every unit stands on."""

    shared: SharedServices
    store: ProcessorStore
    context: Callable[[str], ConnectorContext]
    on_events: Callable[[Sequence[Event]], None]
    """Called in a worker thread, after the events are durable."""
    on_state: Callable[[Processor], None]
    on_run: Callable[[Processor], None]
    """Called with a run that has not begun to read yet."""


@dataclass
class Processor:
    """Every method belongs to the event loop; the supervisor holds ``lock`` around those that change something."""

    name: str
    config: ProcessorConfig
    services: ProcessorServices
    row: ProcessorRow
    stagger: int
    life: Lifecycle = field(default_factory=Lifecycle)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    run: Run | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while nothing runs."""
    context: dict[str, Any] = field(default_factory=dict)
    _begin: asyncio.Task[None] | None = None
    _finish: asyncio.Task[None] | None = None
    _ended_by: Literal["itself", "stop", "shutdown", "restart"] = "itself"
    _last_session: dict[str, Any] | None = None
    _broken: str | None = None
    """Why it is to be failed when its run has ended."""

    def __post_init__(self) -> None:
        self.idle.set()
        self.committer = JournalCommitter(self.services.shared.journal, self.name, self._told)

    # -- start and stop

    def start(self, request: StartRequest, resumed: Resumed | None = None) -> str:
        """Begin a session; returns its id. What can go wrong from here on ends in state failed."""
        self.life.fire(Trigger.START)
        self.idle.clear()
        self._ended_by, self._broken = "itself", None
        run_id = (resumed.run_id if resumed is not None else None) or new_run_id()
        spec = RunSpec(self.name, self.config, self.services.context(self.name), request, run_id, self.stagger)
        self.context = self._context(request)
        self.committer.context = self.context
        self._save(state="starting", message="", wanted="running", finished=None)
        self.services.on_state(self)
        self._begin = asyncio.create_task(self._run(spec, resumed), name=f"start {self.name}")
        return spec.session

    async def stop(self, why: Literal["stop", "shutdown", "restart"] = "stop") -> None:
        """End the session with its summary; returns when it has ended. Raises InUse where nothing runs."""
        if self.life.state is not State.STOPPING:
            self.life.fire(Trigger.STOP)
        self._ended_by = why
        if why == "stop":
            self._save(state="stopping", wanted="stopped")
        self.services.on_state(self)
        if self._begin is not None:
            await asyncio.wait([self._begin])
        if self.run is not None:
            self.run.end("stopped" if why == "stop" else "shutdown" if why == "shutdown" else "restarted")
        try:
            await asyncio.wait_for(self.idle.wait(), END_TIMEOUT_S)
        except TimeoutError:
            log.error("stop_timed_out", processor=self.name)
            self._over("the session did not end in time")
            await self.idle.wait()

    def fail(self, words: str) -> None:
        """End its session, with a summary, because of something outside of it; it is failed then. Nothing where nothing runs."""
        if self.run is not None and self.life.state in (State.STARTING, State.RUNNING):
            self._broken = words
            self.run.end(f"failed: {words}")

    async def _run(self, spec: RunSpec, resumed: Resumed | None) -> None:
        loop = asyncio.get_running_loop()

        def over(error: str | None) -> None:
            loop.call_soon_threadsafe(self._over, error)

        try:
            run = await asyncio.to_thread(Run, spec, self.services.shared, self.committer, over, resumed)
            self.run = run
            self.services.on_run(self)
            await asyncio.to_thread(run.start)
        except Exception as error:  # the boundary of a processor: it fails, the others go on
            if not isinstance(error, StreamprocError):
                log.exception("start_failed", processor=self.name)
            self._over(str(error) or type(error).__name__)
            return
        if self.life.can(Trigger.READY):
            self.life.fire(Trigger.READY)
            self._save(state="running")
            self.services.on_state(self)
            log.info("running", processor=self.name, session=spec.session, resumed=resumed is not None)

    def _over(self, error: str | None) -> None:
        """The lane said its last word (or could not be made)."""
        if self._finish is None and not self.idle.is_set():
            self._finish = asyncio.create_task(self._wind_up(error), name=f"end {self.name}")

    async def _wind_up(self, error: str | None) -> None:
        run, self.run = self.run, None
        error = error or self._broken
        left = None
        try:
            if self._ended_by == "itself" and error is None:
                self.note_finished()  # before anything that takes time: killed meanwhile, it must not begin again
            if run is not None:
                self._last_session = self._session_of(run)
                await asyncio.to_thread(run.close)
                left = run.left_at() if self._ended_by == "shutdown" else None
            await asyncio.to_thread(self._forget_checkpoint, left)
        except Exception:  # whatever is broken, the processor must not hang in stopping
            log.exception("end_failed", processor=self.name)
        self.life.fire(Trigger.FAIL if error is not None else Trigger.ENDED)
        if not (self._ended_by == "itself" and error is None):
            self._save(state=self.life.state.value, message=error or "")
        if error is not None:
            log.error("failed", processor=self.name, reason=error)
        else:
            log.info("ended", processor=self.name)
        self._finish = self._begin = None
        self.idle.set()
        self.services.on_state(self)

    def note_finished(self) -> None:
        """Its session ended by itself: it is not run again unasked."""
        self._save(state="stopped", message="", finished=self.row.document_hash)

    def ended_with(self, resumed: Resumed) -> str | None:
        """The reason in the summary of a session whose process was killed after it; None: it was cut off before."""
        row = self.services.shared.journal.session(resumed.session) if resumed.session is not None else None
        return str(row.state.get("reason")) if row is not None and row.closed is not None else None

    def _forget_checkpoint(self, left: Checkpoint | None) -> None:
        journal = self.services.shared.journal
        journal.clear_checkpoint(self.name)
        if left is not None:
            journal.commit(Commit(self.name, checkpoint=left))

    # -- edits

    async def apply(self, config: ProcessorConfig) -> None:
        """Another document, with the least disturbance."""
        before, self.config = self.config, config
        if self._begin is not None:
            await asyncio.wait([self._begin])  # what is being made still has the old document
        run = self.run
        if run is None or self.life.state is not State.RUNNING:
            return
        if config.session.mode != before.session.mode or (config.labels is None) != (before.labels is None):
            await self._restart()
        elif not same_perception(before, config):
            await asyncio.to_thread(run.replace_perceivers, config)
        else:
            await asyncio.to_thread(run.adjust, config)
        if self.run is run and source_key(before.source) != source_key(config.source):
            await asyncio.to_thread(run.replace_source, config)
        self.context = self._context(run.spec.request)
        self.committer.context = self.context

    async def _restart(self) -> None:
        await self.stop("restart")
        self.start(StartRequest())

    def resumable(self) -> Resumed | None:
        """What a killed process left of a session of this document."""
        return read_checkpoint(self.services.shared.journal.checkpoint(self.name), self.config)

    def close_left_over(self, reason: str) -> None:
        """A killed process left a session that will not go on: it still has its summary. Blocks on the disk."""
        self.committer.context = self._context(StartRequest())
        rules = session_rules(self.config)
        close_left_over(self.name, rules, self.services.shared.journal, self.committer, reason)

    # -- looking

    def check(self) -> None:
        """Let time pass; called about twice a second."""
        if self.run is not None:
            self.run.lane.check_silence()

    def delivered(self, event: Event) -> None:
        """An output has confirmed an event of this processor."""
        if self.run is not None:
            self.run.lane.stats.delivered(event)

    def view(self) -> ProcessorView:
        run, lane = self.run, self.run.lane if self.run is not None else None
        assert self.row.created is not None and self.row.updated is not None
        return ProcessorView(
            name=self.name,
            config=self.config,
            state=self.life.state.value,
            message=self.row.message or None,
            created=self.row.created,
            updated=self.row.updated,
            origin=self.row.origin,
            session=self._session_of(run) if run is not None else self._last_session,
            source=self._source_of(run) if run is not None else {},
            metrics={**lane.stats.view(), "idle": lane.idle.view()} if lane is not None else {},
        )

    @staticmethod
    def _session_of(run: Run) -> dict[str, Any]:
        sessions = run.lane.sessions
        return {"id": sessions.session, "announced": dict(sessions.announced), "counts": dict(sessions.counts)}

    def _source_of(self, run: Run) -> dict[str, Any]:
        source, stats = run.feeder.source, run.lane.stats
        note = source.note if isinstance(source, Explains) else ""
        return {"type": self.config.source.type, "state": stats.source, "why": stats.why or note}

    # -- inside

    def save_document(self, config: ProcessorConfig, origin: Literal["file", "api"]) -> None:
        document = config.model_dump(mode="json", exclude_unset=True)
        changes: dict[str, Any] = {"document": document, "origin": origin, "tags": dict(config.tags)}
        if origin == "file":
            changes["wanted"] = config.state
        self.row = self.services.store.update(self.name, **changes)

    def _save(self, **changes: Any) -> None:
        self.row = self.services.store.update(self.name, **changes)

    def _told(self, events: Sequence[Event]) -> None:
        self.services.on_events(events)

    def _context(self, request: StartRequest) -> dict[str, Any]:
        context: dict[str, Any] = {"tags": dict(self.config.tags)}
        if request.echo:
            context["start_request"] = dict(request.echo)
        for key in ("arn", "stream_arn"):
            if self.config.aws.get(key):
                context[key] = self.config.aws[key]
        return context


def new_row(name: str, config: ProcessorConfig, origin: Literal["file", "api"]) -> ProcessorRow:
    document = config.model_dump(mode="json", exclude_unset=True)
    now = datetime.now(UTC)
    return ProcessorRow(
        name,
        document,
        origin,
        wanted=config.state if origin == "file" else "stopped",
        tags=dict(config.tags),
        created=now,
        updated=now,
    )


def hash_of(config: ProcessorConfig) -> str:
    return document_hash(config.model_dump(mode="json", exclude_unset=True))

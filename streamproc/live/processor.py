"""One processor of the node: its document, its state, and its run while it has one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from connectors.context import ConnectorContext
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import StreamprocError
from streamproc.core.event import Event
from streamproc.core.start import StartRequest
from streamproc.live.assembly import make_hours, same_perception
from streamproc.live.commit import JournalCommitter
from streamproc.live.documents import Origin, document_of, echoed
from streamproc.live.leftover import LeftOver, by_itself
from streamproc.live.resume import Resumed, new_run_id, source_key
from streamproc.live.run import Run, RunSpec, SharedServices
from streamproc.live.view import ProcessorView, schedule_of, session_of, source_of
from streamproc.logic.hours import Hours, Override
from streamproc.logic.lifecycle import Lifecycle, State, Trigger
from streamproc.store.journal import Checkpoint, Commit
from streamproc.store.processors import ProcessorRow, ProcessorStore

log = structlog.get_logger(__name__)
END_TIMEOUT_S = 30.0

StopReason = Literal["stop", "shutdown", "restart", "hand_over"]
_IN_SUMMARY = {"stop": "stopped", "shutdown": "shutdown", "restart": "restarted"}


@dataclass(frozen=True)
class ProcessorServices:
    """Services shared by all processors."""

    shared: SharedServices
    store: ProcessorStore
    context: Callable[[str], ConnectorContext]
    on_events: Callable[[Sequence[Event]], None]
    """Called in a worker thread, after the events are durable."""
    on_state: Callable[[Processor], None]
    """Called in the event loop after each change of state."""
    on_run: Callable[[Processor], None]
    """Called with a run that has not begun to read yet."""


@dataclass
class Processor:
    """Every method belongs to the event loop; whoever calls one that changes something holds ``lock``."""

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
    complaint: str | None = None
    """What is wrong with the newest version of its file; the last good one is in force."""
    override: Override | None = None
    tried: str = ""
    """Hash of the document that it was last started with."""
    _begin: asyncio.Task[None] | None = None
    _finish: asyncio.Task[None] | None = None
    _ended_by: StopReason | None = None
    """None: the session ends by itself."""
    _last_session: dict[str, Any] | None = None
    _broken: str | None = None
    """Why it is to be failed when its run has ended."""

    def __post_init__(self) -> None:
        self.idle.set()
        self.override = self.services.store.override(self.name)
        self.committer = JournalCommitter(self.services.shared.journal, self.name, self.services.on_events)

    # -- start and stop

    def start(self, request: StartRequest, resumed: Resumed | None = None) -> str:
        """Begin a session; returns its id. What can go wrong from here on ends in state failed. Raises InUse."""
        self._change(Trigger.START, message="", wanted="running", finished=None)
        self.idle.clear()
        self.tried = self.row.document_hash
        self._ended_by, self._broken = None, None
        run_id = (resumed.run_id if resumed is not None else None) or new_run_id()
        spec = RunSpec(self.name, self.config, self.services.context(self.name), request, run_id, self.stagger)
        self.committer.context = echoed(self.config, request)
        self._begin = asyncio.create_task(self._run(spec, resumed), name=f"start {self.name}")
        self.services.on_state(self)
        return spec.session

    async def go_on(self) -> None:
        """Go on with the session that an earlier process left, else begin one, unless that one ended by itself."""
        left = self.left_over()
        resumed = left.resumable()
        reason = left.ended_with(resumed) if resumed is not None else None
        if resumed is not None and reason is not None:  # killed between the summary and the end of its run
            await asyncio.to_thread(left.forget)
            if by_itself(reason) and self.row.finished is None:
                self._note_finished()
                return
            resumed = resumed.without_session()
        elif resumed is None and left:
            await asyncio.to_thread(self._end_left_over, left, "changed while streamproc was not running")
        self.start(resumed.request if resumed is not None else StartRequest(), resumed)

    async def stop(self, why: StopReason = "stop") -> None:
        """End the session with its summary, or hand it over; returns when nothing runs any more. Raises InUse where nothing does."""
        if self.life.state is not State.STOPPING:
            self._change(Trigger.STOP, **({"wanted": "stopped"} if why == "stop" else {}))
        self._ended_by = why
        self.services.on_state(self)
        if self._begin is not None:
            await asyncio.wait([self._begin])
        if self.run is not None and why == "hand_over":
            await self._hand_over(self.run)
        elif self.run is not None:
            self.run.end(_IN_SUMMARY[why])
        try:
            await asyncio.wait_for(self.idle.wait(), END_TIMEOUT_S)
        except TimeoutError:
            log.error("stop_timed_out", processor=self.name)
            self._over("the session did not end in time")
            await self.idle.wait()

    async def settle(self) -> None:
        """It is not to run: the session that an earlier process left gets its summary, unless it has it."""
        left = self.left_over()
        if self.row.finished is not None:
            await asyncio.to_thread(left.forget)
        else:
            await asyncio.to_thread(self._end_left_over, left, "stopped")

    def fail(self, words: str) -> None:
        """End its session, with a summary, because of something outside of it; it is failed then. Nothing where nothing runs."""
        if self.run is not None and self.life.state in (State.STARTING, State.RUNNING):
            self._broken = words
            self.run.end(f"failed: {words}")

    def left_over(self) -> LeftOver:
        """What an earlier process left. Only while nothing runs."""
        return LeftOver(self.services.shared.journal, self.name, self.config)

    async def _run(self, spec: RunSpec, resumed: Resumed | None) -> None:
        loop = asyncio.get_running_loop()

        def over(error: str | None) -> None:
            loop.call_soon_threadsafe(self._over, error)

        try:
            run = await asyncio.to_thread(Run, spec, self.services.shared, self.committer, over, resumed)
            run.lane.frames.hours.override = self.override
            self.run = run
            self.services.on_run(self)
            await asyncio.to_thread(run.start)
        except Exception as error:  # the boundary of a processor: it fails, the others go on
            if not isinstance(error, StreamprocError):
                log.exception("start_failed", processor=self.name)
            self._over(str(error) or type(error).__name__)
            return
        if self.life.can(Trigger.READY):
            self._note(Trigger.READY)
            self.services.on_state(self)
            log.info("running", processor=self.name, session=spec.session, resumed=resumed is not None)

    async def _hand_over(self, run: Run) -> None:
        try:
            if not await asyncio.to_thread(run.hand_over):
                return  # its session ends by itself just now
        except Exception:  # the disk may be what broke; the last checkpoint stands, as after a crash
            log.exception("hand_over_failed", processor=self.name)
        self._over(None)

    def _over(self, error: str | None) -> None:
        """The lane said its last word (or could not be made)."""
        if self._finish is None and not self.idle.is_set():
            self._finish = asyncio.create_task(self._wind_up(error), name=f"end {self.name}")

    async def _wind_up(self, error: str | None) -> None:
        run, self.run = self.run, None
        error = error or self._broken
        by_itself = self._ended_by is None and error is None
        try:
            if by_itself:
                self._note_finished()  # before anything that takes time: killed meanwhile, it must not begin again
            if run is not None:
                self._last_session = session_of(run)
                await asyncio.to_thread(run.close)
            if self._ended_by != "hand_over":
                left = run.left_at() if run is not None and self._ended_by == "shutdown" else None
                await asyncio.to_thread(self._forget_checkpoint, left)
        except Exception:  # whatever is broken, the processor must not hang in stopping
            log.exception("end_failed", processor=self.name)
        if error is not None:
            self._note(Trigger.FAIL, message=error)
            log.error("failed", processor=self.name, reason=error)
        else:
            self._note(Trigger.ENDED, message="")
            log.info("ended", processor=self.name, by=self._ended_by or "itself")
        self._finish = self._begin = None
        self.idle.set()
        self.services.on_state(self)

    def _forget_checkpoint(self, left: Checkpoint | None) -> None:
        journal = self.services.shared.journal
        journal.clear_checkpoint(self.name)
        if left is not None:
            journal.commit(Commit(self.name, checkpoint=left))

    def _end_left_over(self, left: LeftOver, reason: str) -> None:
        self.committer.context = echoed(self.config, StartRequest())
        left.end(reason, self.committer)

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
            await self.stop("restart")
            self.start(StartRequest())
            return
        if not same_perception(before, config):
            await asyncio.to_thread(run.replace_perceivers, config)
        else:
            await asyncio.to_thread(run.adjust, config)
        if source_key(before.source) != source_key(config.source):
            await asyncio.to_thread(run.replace_source, config)
        self.committer.context = echoed(config, run.spec.request)
        self.tried = self.row.document_hash

    def save_document(self, config: ProcessorConfig, origin: Origin) -> None:
        changes: dict[str, Any] = {"document": document_of(config), "origin": origin, "tags": dict(config.tags)}
        if origin == "file":
            changes["wanted"] = config.state
        self._save(**changes)

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
            message=self.row.message or self.complaint,
            created=self.row.created,
            updated=self.row.updated,
            origin=self.row.origin,
            session=session_of(run) if run is not None else self._last_session,
            source=source_of(run) if run is not None else {},
            schedule=schedule_of(hours_of(self), datetime.now(UTC)),
            metrics={**lane.stats.view(), "idle": lane.idle.view()} if lane is not None else {},
        )

    # -- state

    def _change(self, trigger: Trigger, **changes: Any) -> None:
        """A change that somebody asks for: on disk before it counts. Raises InUse, and whatever the disk raises."""
        self.life.fire(trigger, lambda state: self._save(state=state.value, **changes))

    def _note(self, trigger: Trigger, **changes: Any) -> None:
        """A change that has happened already: it counts even where the disk cannot take it."""

        def persist(state: State) -> None:
            try:
                self._save(state=state.value, **changes)
            except Exception:  # as above
                log.exception("state_not_saved", processor=self.name, state=state.value)
                self.row = replace(self.row, state=state.value, **changes)

        self.life.fire(trigger, persist)

    def _note_finished(self) -> None:
        """Its session ended by itself: it is not run again unasked."""
        self._save(message="", finished=self.row.document_hash)

    def _save(self, **changes: Any) -> None:
        self.row = self.services.store.update(self.name, **changes)


def hours_of(processor: Processor) -> Hours:
    """When it announces: its run's own hours, or what they would be."""
    if processor.run is not None:
        return processor.run.lane.frames.hours
    hours = make_hours(processor.config)
    hours.override = processor.override
    return hours

"""One processor of the node: its document, its state, and its run while it has one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from connectors.context import ConnectorContext
from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import Explains
from streamproc.core.errors import InputError, StorageUnavailable, StreamprocError
from streamproc.core.event import Event
from streamproc.core.start import StartRequest
from streamproc.live.assembly import make_hours
from streamproc.live.commit import JournalCommitter
from streamproc.live.documents import echoed
from streamproc.live.record import ProcessorRecord
from streamproc.live.resume import Resumed, new_run_id
from streamproc.live.run import Run, RunSpec, SharedServices
from streamproc.live.view import session_of
from streamproc.logic.hours import Hours, Override
from streamproc.logic.lifecycle import Lifecycle, State, Trigger
from streamproc.store.processors import ProcessorRow, ProcessorStore
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)
END_TIMEOUT_S = 15.0
"""A session ends with the look that is being taken, so this means that something hangs."""
CLOSE_TIMEOUT_S = 8.0

StopReason = Literal["stop", "shutdown", "restart", "hand_over"]
FailureKind = Literal["unexpected", "refused", "denied"]
"""refused: the source or a setting will not do, however soon it is tried. denied: an output may not deliver (``Processor.fail``)."""
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
    record: ProcessorRecord
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
    failed_as: FailureKind = "unexpected"
    """Of the last failure."""
    running_since: float | None = None
    """Monotonic seconds when its source began to be read; None: it has not since the last start."""
    _begin: asyncio.Task[None] | None = None
    _finish: asyncio.Task[None] | None = None
    _ended_by: StopReason | None = None
    """None: the session ends by itself."""
    last_session: dict[str, Any] | None = None
    _broken: str | None = None
    """Why it is to be failed when its run has ended."""

    def __post_init__(self) -> None:
        self.idle.set()
        self.override = self.services.store.override(self.name)
        if self.row.failed_as == "denied" and self.row.wanted == "running":
            # Of an earlier process: only somebody's act fixes that, and a Start says that it was done.
            self.life, self.failed_as = Lifecycle(State.FAILED), "denied"
        self.committer = JournalCommitter(self.services.shared.decisions, self.name, self.services.on_events)

    @property
    def row(self) -> ProcessorRow:
        return self.record.row

    # -- start and stop

    def start(self, request: StartRequest, resumed: Resumed | None = None) -> str:
        """Begin a session; returns its id. What can go wrong from here on ends in state failed. Raises InUse and
        StorageUnavailable."""
        self.require_storage()
        self._change(Trigger.START, message="", wanted="running", finished=None, failed_as="")
        self.idle.clear()
        self.tried = self.row.document_hash
        self._ended_by, self._broken, self.running_since = None, None, None
        run_id = (resumed.run_id if resumed is not None else None) or new_run_id()
        spec = RunSpec(self.name, self.config, self.services.context(self.name), request, run_id, self.stagger)
        self.committer.context = echoed(self.config, request)
        self._begin = asyncio.create_task(self._run(spec, resumed), name=f"start {self.name}")
        self.services.on_state(self)
        return spec.session

    async def stop(self, why: StopReason = "stop") -> None:
        """End the session with its summary, or hand it over; returns when nothing runs any more, or what does hangs. Raises InUse
        where nothing runs; a stop that somebody asks for raises StorageUnavailable where the disk cannot take it."""
        if self.life.state is not State.STOPPING and why == "stop":
            self._change(Trigger.STOP, wanted="stopped")
        elif self.life.state is not State.STOPPING:
            self._note(Trigger.STOP)
        self._ended_by = why
        self.services.on_state(self)
        if self._begin is not None:
            await asyncio.wait([self._begin], timeout=END_TIMEOUT_S)
        if self.run is not None and why == "hand_over":
            await self._hand_over(self.run)
        elif self.run is not None:
            self.run.end(_IN_SUMMARY[why])
        if not await self._idle_within(END_TIMEOUT_S):
            log.error("stop_timed_out", processor=self.name)
            self._over("the session did not end in time")
            if not await self._idle_within(CLOSE_TIMEOUT_S):
                log.error("left_behind", processor=self.name, what="its source or its disk hangs")

    def fail(self, words: str) -> None:
        """End its session, with a summary, because of something outside of it; it is failed then. Nothing where nothing runs."""
        if self.run is not None and self.life.state in (State.STARTING, State.RUNNING):
            self._broken = words
            self.run.end(f"failed: {words}")

    def require_storage(self) -> None:
        """Raises StorageUnavailable while something that was decided is not durable: what is on disk is not what was last."""
        if self.committer.waits is not None:
            raise StorageUnavailable(self.committer.waits)

    async def _idle_within(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.idle.wait(), timeout_s)
        return self.idle.is_set()

    async def _run(self, spec: RunSpec, resumed: Resumed | None) -> None:
        loop = asyncio.get_running_loop()

        def over(error: str | None) -> None:
            loop.call_soon_threadsafe(self._over, error)

        try:
            run = await CONTROL.run(Run, spec, self.services.shared, self.committer, over, resumed)
            if self.idle.is_set():  # it was given up meanwhile
                run.close()
                return
            run.lane.frames.hours.override = self.override
            self.run = run
            self.services.on_run(self)
            await CONTROL.run(run.start)
        except Exception as error:  # the boundary of a processor: it fails, the others go on
            if not isinstance(error, StreamprocError):
                log.exception("start_failed", processor=self.name)
            self.failed_as = "refused" if isinstance(error, InputError) else "unexpected"
            self._over(str(error) or type(error).__name__)
            return
        if self.life.can(Trigger.READY):
            self.running_since = time.monotonic()
            self._note(Trigger.READY)
            self.services.on_state(self)
            log.info("running", processor=self.name, session=spec.session, resumed=resumed is not None)

    async def _hand_over(self, run: Run) -> None:
        try:
            if not await CONTROL.run(run.hand_over):
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
        if (
            self._ended_by is None and error is None
        ):  # before anything that takes time: killed meanwhile, it must not begin again
            self.record.note(message="", finished=self.row.document_hash)
        if run is not None:
            self.failed_as = "denied" if self._broken else "refused" if run.feeder.refused else "unexpected"
        try:
            if run is not None:
                self.last_session = session_of(run)
                await CONTROL.run(run.close)
            if self._ended_by != "hand_over":
                left = run.left_at() if run is not None and self._ended_by == "shutdown" else None
                await CONTROL.run(self.committer.forget, left)
        except Exception:  # whatever is broken, the processor must not hang in stopping
            log.exception("end_failed", processor=self.name)
        if error is not None:
            self._note(Trigger.FAIL, message=error, failed_as=self.failed_as)
            log.error("failed", processor=self.name, reason=error)
        else:
            self._note(Trigger.ENDED, message="")
            log.info("ended", processor=self.name, by=self._ended_by or "itself")
        self._finish = self._begin = None
        self.idle.set()
        self.services.on_state(self)

    async def made(self) -> None:
        """Returns when what is being started is running, or has failed."""
        if self._begin is not None:
            await asyncio.wait([self._begin])

    # -- looking

    def check(self) -> None:
        """Let time pass; called about twice a second."""
        if self.run is not None:
            source = self.run.feeder.source
            self.run.lane.check_silence(not (isinstance(source, Explains) and source.note))

    def delivered(self, event: Event) -> None:
        """An output has confirmed an event of this processor."""
        if self.run is not None:
            self.run.lane.stats.delivered(event)

    # -- state

    def _change(self, trigger: Trigger, **changes: Any) -> None:
        """A change that somebody asks for: on disk before it counts. Raises InUse, and whatever the disk raises."""
        self.life.fire(trigger, lambda state: self.record.save(state=state.value, **changes))

    def _note(self, trigger: Trigger, **changes: Any) -> None:
        """A change that has happened already: it counts even where the disk cannot take it."""
        self.life.fire(trigger, lambda state: self.record.note(state=state.value, **changes))


def hours_of(processor: Processor) -> Hours:
    """When it announces: its run's own hours, or what they would be."""
    if processor.run is not None:
        return processor.run.lane.frames.hours
    hours = make_hours(processor.config)
    hours.override = processor.override
    return hours

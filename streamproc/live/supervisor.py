"""All processors of the node, and the one way into control: config files, the CLI, the control API and the AWS endpoint call this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from connectors.context import ConnectorContext
from streamproc import metrics
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import Renderer
from streamproc.core.errors import AlreadyExists, InUse, NotFound, SinkDenied
from streamproc.core.event import Event
from streamproc.core.route import Route
from streamproc.core.start import StartRequest
from streamproc.core.video_log import FragmentReader
from streamproc.live.assembly import connector_context
from streamproc.live.describe import describe
from streamproc.live.documents import Origin, check_connectors, new_row, stored_row
from streamproc.live.edits import follow
from streamproc.live.outputs import Outputs
from streamproc.live.ownership import Ownership, SoleNode
from streamproc.live.patience import PatientJournal
from streamproc.live.processor import Processor, ProcessorServices
from streamproc.live.record import ProcessorRecord
from streamproc.live.refused import Refused
from streamproc.live.remote import NodeControl
from streamproc.live.run import Run, SharedServices
from streamproc.live.status import StatusBoard
from streamproc.live.tickers import govern, let_time_pass, show_states
from streamproc.live.view import ProcessorView
from streamproc.logic.lifecycle import Lifecycle, State
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.governor import Governor
from streamproc.pipeline.scheduler import Scheduler
from streamproc.store.database import Database
from streamproc.store.journal import Journal
from streamproc.store.processors import ProcessorRow, ProcessorStore
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)
FLUSH_S = 3.0
"""How long the end of the process waits for storage."""


@contextmanager
def _reserved(name: str, names: set[str]) -> Iterator[None]:
    names.add(name)
    try:
        yield
    finally:
        names.discard(name)


class Supervisor:
    """Owns the processors, the workers and the outputs. All methods belong to the event loop.

    It does what it is told to; ``desired.Reconciler`` tells it what follows from configs, ownership and failures.
    """

    def __init__(
        self,
        node: NodeConfig,
        base_dir: Path,
        database: Database,
        *,
        renderers: Mapping[str, Renderer],
        collections_dir: Path | None = None,
        ownership: Ownership | None = None,
    ) -> None:
        """``base_dir``: what relative paths of configs start from. ``collections_dir``: the data directory whose face collections
        are used; the database's own where left out."""
        self.node, self.base_dir = node, base_dir
        self.database = database
        self.journal = Journal(database)
        self.decisions = PatientJournal(self.journal)
        self.store = ProcessorStore(database)
        self.outputs = Outputs(self.journal, renderers, (node.outbox, node.history), self._context)
        self.outputs.outbox.delivered_listeners.append(self._delivered)
        self.outputs.outbox.denied_listeners.append(self._denied)
        scheduler = self.scheduler = Scheduler(node.workers)
        self.governor = Governor(node.cpu_target)
        folder = collections_dir or database.data_dir
        self.provider = ModelProvider(node, folder, scheduler.workers, scheduler.help_with)
        self.ownership = ownership or SoleNode()
        self.listeners: list[Callable[[Sequence[Event]], None]] = []
        """Called in the loop with events that have just become durable."""
        self.run_listeners: list[Callable[[str], None]] = []
        """Called in the loop with the name of a processor whose run is about to begin to read."""
        self.state_listeners: list[Callable[[str], None]] = []
        """Called in the loop with the name of a processor whose state or document has changed, or which is gone."""
        self.state_elsewhere: Callable[[str], str | None] = lambda name: None
        """The state of a processor on another node that runs it, as that said last; None: it is this one's, or nothing was heard."""
        self.fragments: FragmentReader | None = None
        """This node's own video streams, where it has any."""
        self.fails_on: Callable[[ProcessorConfig, SinkDenied], str | None] = lambda config, error: None
        """What a processor is to fail with whose output may not deliver; None: it goes on, and the events wait."""
        self._processors: dict[str, Processor] = {}
        self._coming: set[str] = set()  # names of processors that are just being made
        self._refused: dict[str, Refused] = {}
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tickers: list[asyncio.Task[None]] = []
        self._board = StatusBoard(self.journal, self.outputs, lambda: self._processors)
        self.listeners.append(self._board.told)
        self.state_listeners.append(self._board.show)

    # -- the node's own life

    async def open(self) -> None:
        """Bring up the workers and the outbox."""
        self._loop = asyncio.get_running_loop()
        self.scheduler.start()
        await self.outputs.outbox.start()

        everything: Callable[[], list[Processor]] = partial(list, self._processors.values())
        self._tickers = [
            asyncio.create_task(let_time_pass(everything), name="tick"),
            asyncio.create_task(govern(self.governor, everything), name="governor"),
            asyncio.create_task(show_states(self._board), name="states"),
        ]

    async def close(self, drain_s: float = 10.0, *, hand_over: bool = False) -> None:
        """End every session with its summary, or hand all of them over to the next process; deliver what can be delivered, stop."""
        active = [processor for processor in self._processors.values() if processor.life.active]
        await asyncio.gather(*(self._leave(processor, hand_over) for processor in active))
        left = await self.outputs.outbox.drain(drain_s)
        if left:
            log.warning("deliveries_wait_for_the_next_start", count=left)
        await self.outputs.outbox.aclose()
        for ticker in self._tickers:
            ticker.cancel()
        await asyncio.gather(*self._tickers, return_exceptions=True)
        await CONTROL.run(self.scheduler.stop)
        await CONTROL.run(self.decisions.close, FLUSH_S)
        await CONTROL.run(self.database.close)

    async def adopt(self, node: NodeConfig) -> None:
        """Another document of the node, as far as that goes without a restart."""
        self.governor.retarget(node.cpu_target)
        self.outputs.outbox.adopt(node.outbox, node.history)
        before = self.node.outputs
        self.node = self.node.model_copy(
            update={key: getattr(node, key) for key in ("cpu_target", "outbox", "history", "outputs")}
        )
        for processor in [*self._processors.values()] if node.outputs != before else []:
            async with processor.lock:
                await self._set_outputs(processor, processor.config)

    # -- control

    async def create(self, name: str, config: ProcessorConfig, origin: Origin = "api") -> ProcessorView:
        """A new processor, stopped. Raises AlreadyExists, and InputError where its connectors' settings are wrong."""
        if name in self._processors or name in self._coming:
            raise AlreadyExists(f"there is a processor {name!r} already")
        check_connectors(name, config)
        with _reserved(name, self._coming):
            processor = await self.load(stored_row(self.store, new_row(name, config, origin)), config)
        log.info("created", processor=name, origin=origin)
        return self._seen(processor)

    async def load(self, row: ProcessorRow, config: ProcessorConfig) -> Processor:
        """A processor that the store knows already, stopped. Raises InputError where its outputs' settings are wrong."""
        services = ProcessorServices(
            SharedServices(self.journal, self.decisions, self.scheduler, self.provider, self.ownership.shared),
            self.store,
            self._context,
            self._told,
            lambda processor: self._changed(processor.name),
            self._about_to_run,
        )
        refused = self._refused.get(row.name)
        processor = Processor(row.name, config, services, ProcessorRecord(row, self.store), self._count)
        await self._set_outputs(processor, config)
        if refused is not None:
            processor.life = self._refused.pop(row.name).accept()
            processor.complaint = refused.words if row.origin == "api" else None
        self._count += 1
        self._processors[row.name] = processor
        self._changed(row.name)
        return processor

    async def start(self, name: str, request: StartRequest | None = None) -> str:
        """The id of the session that begins. Returns before the source is connected. Raises NotFound, InUse."""
        async with self._held(name) as processor:
            elsewhere = self.ownership.elsewhere(name)
            if elsewhere is not None:
                raise InUse(f"{name} cannot be started here: {elsewhere}")
            return processor.start(request or StartRequest())

    async def stop(self, name: str) -> None:
        """Returns when its session has ended, with its summary. Raises NotFound, and InUse where there is nothing to stop."""
        async with self._held(name) as processor:
            await processor.stop()

    async def update(self, name: str, config: ProcessorConfig, origin: Origin | None = None) -> ProcessorView:
        """Another document, applied with the least disturbance. A caller's ``state`` is not acted on. Raises as ``create``, and as ``follow``."""
        check_connectors(name, config)
        async with self._held(name) as processor:
            await follow(processor, config, origin or processor.row.origin, self._set_outputs)
        log.info("updated", processor=name)
        self._changed(name)
        return self._seen(processor)

    async def delete(self, name: str) -> None:
        """Raises InUse while it runs."""
        async with self._held(name) as processor:
            await self.remove(processor)

    async def remove(self, processor: Processor) -> None:
        """``delete`` for who holds the processor's lock."""
        name = processor.name
        if processor.life.active:
            raise InUse(f"{name} is {processor.life.state.value}; stop it first")
        await self.outputs.remove(name)
        self.store.delete(name)
        self.journal.forget(name)
        del self._processors[name]
        if processor.complaint is not None:
            self._refused[name] = Refused(name, processor.complaint)
        self._changed(name)
        log.info("deleted", processor=name)

    def refuse(self, name: str, words: str | None) -> None:
        """The newest version of a processor's file is wrong; the last good one goes on, where there is one. None: it is not any more."""
        processor = self._processors.get(name)
        self._refused.pop(name, None)
        if processor is not None:
            processor.complaint = words
        elif words is not None:
            self._refused[name] = Refused(name, words)
        self._changed(name)

    # -- looking

    async def view(self, name: str) -> ProcessorView:
        refused = self._refused.get(name)
        return refused.view() if refused is not None else self._seen(self.processor(name))

    async def views(self) -> list[ProcessorView]:
        """All of them, by name; a file that was refused and has no good version is among them."""
        views = [self._seen(processor) for processor in self._processors.values()]
        return sorted([*views, *(each.view() for each in self._refused.values())], key=lambda view: view.name)

    async def wait(self, name: str) -> ProcessorView:
        """Until nothing of it runs any more."""
        processor = self.processor(name)
        await processor.idle.wait()
        return self._seen(processor)

    def names(self, origin: Origin | None = None) -> list[str]:
        return sorted(
            name for name, processor in self._processors.items() if origin is None or processor.row.origin == origin
        )

    def refused(self) -> list[str]:
        """Names whose file is wrong, whether or not there is a good version."""
        complaints = [name for name, processor in self._processors.items() if processor.complaint is not None]
        return sorted([*complaints, *self._refused])

    def known(self, name: str) -> bool:
        return name in self._processors

    def processor(self, name: str) -> Processor:
        """Raises NotFound."""
        processor = self._processors.get(name)
        if processor is None:
            raise NotFound(f"there is no processor {name!r}")
        return processor

    def run_of(self, name: str) -> Run | None:
        """The run of a processor while it has one: its source to publish into, its feeder's taps and its lane's watchers to
        look on. Raises NotFound."""
        return self.processor(name).run

    # -- inside

    @asynccontextmanager
    async def _held(self, name: str) -> AsyncIterator[Processor]:
        """A processor with its lock. Raises NotFound, also where it was deleted meanwhile."""
        processor = self.processor(name)
        async with processor.lock:
            if self._processors.get(name) is not processor:
                raise NotFound(f"there is no processor {name!r}")
            yield processor

    def _seen(self, processor: Processor) -> ProcessorView:
        view = describe(processor)
        return replace(view, message=view.message or self.ownership.elsewhere(processor.name))

    async def _leave(self, processor: Processor, hand_over: bool) -> None:
        async with processor.lock:
            if processor.life.active:
                await processor.stop("hand_over" if hand_over else "shutdown")

    def _context(self, name: str) -> ConnectorContext:
        made = connector_context(self.node, name, self.base_dir, self.database.data_dir, self.database.node_id)
        return replace(made, fragments=self.fragments, control=NodeControl(self))

    async def _set_outputs(self, processor: Processor, config: ProcessorConfig) -> None:
        def route(routes: tuple[Route, ...]) -> None:
            processor.committer.routes = routes

        await self.outputs.set(processor.name, config, self.node.outputs, route)

    def _told(self, events: Sequence[Event]) -> None:
        """In a worker thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, events)

    def _tell(self, events: Sequence[Event]) -> None:
        for listener in self.listeners:
            listener(events)

    def _delivered(self, event: Event) -> None:
        processor = self._processors.get(event.processor)
        if processor is not None:
            processor.delivered(event)

    def _denied(self, name: str, error: SinkDenied) -> None:
        processor = self._processors.get(name)
        words = self.fails_on(processor.config, error) if processor is not None else None
        if processor is not None and words is not None:
            processor.fail(words)

    def _about_to_run(self, processor: Processor) -> None:
        for listener in self.run_listeners:
            listener(processor.name)

    def _changed(self, name: str) -> None:
        _count([each.life for each in self._processors.values()], [each.life for each in self._refused.values()])
        for listener in self.state_listeners:
            listener(name)


def _count(good: Sequence[Lifecycle], refused: Sequence[Lifecycle]) -> None:
    for state in State:
        metrics.PROCESSORS.labels(state.value).set(sum(life.state is state for life in (*good, *refused)))

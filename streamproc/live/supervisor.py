"""All processors of the node, and the one way into control: config files, the CLI, the control API and the AWS endpoint call this."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from connectors.context import ConnectorContext
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import Renderer
from streamproc.core.errors import InUse, SinkDenied
from streamproc.core.route import Route
from streamproc.core.start import StartRequest
from streamproc.core.video_log import FragmentReader
from streamproc.live.assembly import connector_context
from streamproc.live.describe import describe
from streamproc.live.documents import Origin, check_document, new_row, stored_row
from streamproc.live.edits import follow
from streamproc.live.notices import Notices
from streamproc.live.ownership import Ownership, SoleNode
from streamproc.live.processor import Processor, ProcessorServices
from streamproc.live.record import ProcessorRecord
from streamproc.live.register import Register
from streamproc.live.remote import NodeControl
from streamproc.live.run import Run
from streamproc.live.runtime import NodeRuntime
from streamproc.live.status import StatusBoard
from streamproc.live.view import ProcessorView
from streamproc.store.database import Database
from streamproc.store.processors import ProcessorRow, ProcessorStore

log = structlog.get_logger(__name__)
FLUSH_S = 3.0
"""How long the end of the process waits for storage."""


class Supervisor:
    """Changes processors and says how they stand. All methods belong to the event loop.

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
        runtime = self.runtime = NodeRuntime(
            node, database, renderers, collections_dir or database.data_dir, self._context
        )
        self.database, self.journal, self.decisions = database, runtime.journal, runtime.decisions
        self.outputs, self.provider = runtime.outputs, runtime.provider
        self.store = ProcessorStore(database)
        self.ownership = ownership or SoleNode()
        self.notices = Notices()
        self.state_elsewhere: Callable[[str], str | None] = lambda name: None
        """The state of a processor on another node that runs it, as that said last; None: it is this one's, or nothing was heard."""
        self.fragments: FragmentReader | None = None
        """This node's own video streams, where it has any."""
        self.fails_on: Callable[[ProcessorConfig, SinkDenied], str | None] = lambda config, error: None
        """What a processor is to fail with whose output may not deliver; None: it goes on, and the events wait."""
        self._register = Register()
        self._board = StatusBoard(self.journal, self.outputs, self._register.by_name)
        self.notices.committed.append(self._board.told)
        self.notices.states.append(self._board.show)
        self.outputs.outbox.delivered_listeners.append(self._register.delivered)
        self.outputs.outbox.denied_listeners.append(self._denied)

    # -- the node's own life

    async def open(self) -> None:
        """Bring up the workers and the outbox."""
        self.notices.bind(asyncio.get_running_loop())
        await self.runtime.open(self._register.all, self._board)

    async def close(self, drain_s: float = 10.0, *, hand_over: bool = False) -> None:
        """End every session with its summary, or hand all of them over to the next process; deliver what can be delivered, stop."""
        active = [processor for processor in self._register.all() if processor.life.active]
        await asyncio.gather(*(self._leave(processor, hand_over) for processor in active))
        await self.runtime.close(drain_s)

    async def adopt(self, node: NodeConfig) -> None:
        """Another document of the node, as far as that goes without a restart."""
        self.runtime.adopt(node)
        before = self.node.outputs
        self.node = self.node.model_copy(
            update={key: getattr(node, key) for key in ("cpu_target", "outbox", "history", "outputs")}
        )
        for processor in self._register.all() if node.outputs != before else []:
            async with processor.lock:
                await self._set_outputs(processor, processor.config)

    # -- control

    async def create(self, name: str, config: ProcessorConfig, origin: Origin = "api") -> ProcessorView:
        """A new processor, stopped. Raises AlreadyExists, and InputError where its document cannot be used (``check_document``)."""
        with self._register.coming(name):
            check_document(name, config, None if self.ownership.shared else self.node.models.profiles)
            processor = await self.load(stored_row(self.store, new_row(name, config, origin)), config)
        log.info("created", processor=name, origin=origin)
        return self._seen(processor)

    async def load(self, row: ProcessorRow, config: ProcessorConfig) -> Processor:
        """A processor that the store knows already, stopped. Raises InputError where its outputs' settings are wrong."""
        services = ProcessorServices(
            self.runtime.shared(self.ownership.shared),
            self.store,
            self._context,
            self.notices.tell_committed,
            lambda processor: self._changed(processor.name),
            lambda processor: self.notices.tell_run(processor.name),
        )
        processor = Processor(row.name, config, services, ProcessorRecord(row, self.store), self._register.count)
        await self._set_outputs(processor, config)
        self._register.add(processor)
        self._changed(row.name)
        return processor

    async def start(self, name: str, request: StartRequest | None = None) -> str:
        """The id of the session that begins. Returns before the source is connected. Raises NotFound, InUse."""
        async with self._register.held(name) as processor:
            elsewhere = self.ownership.elsewhere(name)
            if elsewhere is not None:
                raise InUse(f"{name} cannot be started here: {elsewhere}")
            return processor.start(request or StartRequest())

    async def stop(self, name: str) -> None:
        """Returns when its session has ended, with its summary. Raises NotFound, and InUse where there is nothing to stop."""
        async with self._register.held(name) as processor:
            await processor.stop()

    async def update(self, name: str, config: ProcessorConfig, origin: Origin | None = None) -> ProcessorView:
        """Another document, applied with the least disturbance. A caller's ``state`` is not acted on. Raises as ``create``, and as ``follow``."""
        check_document(name, config, None if self.ownership.shared else self.node.models.profiles)
        async with self._register.held(name) as processor:
            await follow(processor, config, origin or processor.row.origin, self._set_outputs)
        log.info("updated", processor=name)
        self._changed(name)
        return self._seen(processor)

    async def delete(self, name: str) -> None:
        """Raises InUse while it runs."""
        async with self._register.held(name) as processor:
            await self.remove(processor)

    async def remove(self, processor: Processor) -> None:
        """``delete`` for who holds the processor's lock."""
        name = processor.name
        if processor.life.active:
            raise InUse(f"{name} is {processor.life.state.value}; stop it first")
        await self.outputs.remove(name)
        self.store.delete(name)
        self.journal.forget(name)
        self._register.drop(processor)
        self._changed(name)
        log.info("deleted", processor=name)

    def refuse(self, name: str, words: str | None) -> None:
        """The newest version of a processor's file is wrong; the last good one goes on, where there is one. None: it is not any more."""
        self._register.refuse(name, words)
        self._changed(name)

    # -- looking

    async def view(self, name: str) -> ProcessorView:
        return self._register.view(name, self._seen)

    async def views(self) -> list[ProcessorView]:
        """All of them, by name; a file that was refused and has no good version is among them."""
        return self._register.views(self._seen)

    async def wait(self, name: str) -> ProcessorView:
        """Until nothing of it runs any more."""
        processor = self.processor(name)
        await processor.idle.wait()
        return self._seen(processor)

    def names(self, origin: Origin | None = None) -> list[str]:
        return self._register.names(origin)

    def refused(self) -> list[str]:
        """Names whose file is wrong, whether or not there is a good version."""
        return self._register.refused()

    def known(self, name: str) -> bool:
        return name in self._register

    def processor(self, name: str) -> Processor:
        """Raises NotFound."""
        return self._register.processor(name)

    def run_of(self, name: str) -> Run | None:
        """The run of a processor while it has one: its source to publish into, its items and its lane's observers to
        look on. Raises NotFound."""
        return self.processor(name).run

    # -- inside

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

    def _denied(self, name: str, error: SinkDenied) -> None:
        processor = self._register.by_name().get(name)
        words = self.fails_on(processor.config, error) if processor is not None else None
        if processor is not None and words is not None:
            processor.fail(words)

    def _changed(self, name: str) -> None:
        self._register.count_states()
        self.notices.tell_state(name)

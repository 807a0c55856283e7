"""All processors of the node, and the one way into control: config files, the CLI, the control API and the AWS endpoint call this."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog
from pydantic import ValidationError

from connectors.catalog import check, make_sink
from connectors.context import ConnectorContext
from streamproc import metrics
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.config.routes import outputs as outputs_of
from streamproc.contracts import NOWHERE, ImageKeeper, Images, Renderer, Sink
from streamproc.core.errors import AlreadyExists, ConfigError, Fault, InputError, InUse, NotFound, SinkDenied
from streamproc.core.event import Event
from streamproc.core.start import StartRequest
from streamproc.live.assembly import ModelProvider, connector_context
from streamproc.live.processor import Processor, ProcessorServices, hash_of, new_row
from streamproc.live.run import Run, SharedServices
from streamproc.live.view import ProcessorView
from streamproc.logic.lifecycle import State
from streamproc.outbox.outbox import Outbox
from streamproc.pipeline.governor import EVERY_S, Governor
from streamproc.pipeline.scheduler import Scheduler
from streamproc.store.database import Database
from streamproc.store.journal import Journal
from streamproc.store.processors import ProcessorRow, ProcessorStore

log = structlog.get_logger(__name__)
TICK_S = 0.5
Origin = Literal["file", "api"]


class Supervisor:
    """Owns the units, the workers and the outbox. All methods belong to the event loop."""

    def __init__(
        self,
        node: NodeConfig,
        base_dir: Path,
        database: Database,
        *,
        renderers: Mapping[str, Renderer],
        provider: ModelProvider | None = None,
        ephemeral: bool = False,
    ) -> None:
        """``base_dir``: what relative paths of configs start from. ``ephemeral``: nothing is resumed (``run``)."""
        self.node = node
        self.base_dir = base_dir
        self.database = database
        self.journal = Journal(database)
        self.outbox = Outbox(self.journal, renderers, node.outbox)
        self.outbox.delivered_listeners.append(self._delivered)
        self.outbox.denied_listeners.append(self._denied)
        self.scheduler = Scheduler(node.workers)
        self.governor = Governor(node.cpu_target)
        self.provider = provider or ModelProvider(node, database.data_dir, workers=self.scheduler.workers)
        self.listeners: list[Callable[[Sequence[Event]], None]] = []
        """Called in the loop with events that have just become durable."""
        self.run_listeners: list[Callable[[str], None]] = []
        """Called in the loop with the name of a processor whose run is about to begin to read."""
        self.fails_on: Callable[[ProcessorConfig, SinkDenied], str | None] = lambda config, error: None
        """What a processor is to fail with whose output may not deliver; None: it goes on, and the events wait."""
        self.refused: dict[str, str] = {}
        """Files that were refused: processor name and why."""
        self._store = ProcessorStore(database)
        self._processors: dict[str, Processor] = {}
        self._sinks: dict[str, dict[str, tuple[ConnectorRef, Sink]]] = {}
        self._ephemeral = ephemeral
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tickers: list[asyncio.Task[None]] = []

    # -- the box's own life

    async def open(self) -> None:
        """Bring up the workers and the outbox; processors made by the API come back, running where they were."""
        self._loop = asyncio.get_running_loop()
        self.scheduler.start()
        await self.outbox.start()
        self._tickers = [
            asyncio.create_task(self._tick(), name="tick"),
            asyncio.create_task(self._govern(), name="governor"),
        ]
        for row in [] if self._ephemeral else self._store.all():
            if row.origin != "api":
                continue
            try:
                config = ProcessorConfig.model_validate(row.document)
            except ValidationError as error:
                log.error("processor_unreadable", processor=row.name, reason=str(error))
                continue
            processor = await self._add(row, config)
            if row.wanted == "running" and row.finished is None:
                await self._start_or_resume(processor)

    async def close(self, drain_s: float = 10.0) -> None:
        """End every session with its summary, deliver what can be delivered, stop."""
        active = [processor for processor in self._processors.values() if processor.life.active]
        await asyncio.gather(*(self._stop_quietly(processor) for processor in active))
        left = await self.outbox.drain(drain_s)
        if left:
            log.warning("deliveries_wait_for_the_next_start", count=left)
        await self.outbox.aclose()
        for ticker in self._tickers:
            ticker.cancel()
        await asyncio.to_thread(self.scheduler.stop)
        await asyncio.to_thread(self.database.close)

    async def adopt(self, node: NodeConfig) -> None:
        """Another document of the node, as far as that goes without a restart: ``cpu_target``, ``outbox``, ``outputs``."""
        self.governor.retarget(node.cpu_target)
        self.outbox.settings = node.outbox
        before = self.node.outputs
        self.node = self.node.model_copy(
            update={key: getattr(node, key) for key in ("cpu_target", "outbox", "outputs")}
        )
        for processor in [*self._processors.values()] if node.outputs != before else []:
            async with processor.lock:
                await self._set_outputs(processor, processor.config)

    # -- control

    async def create(self, name: str, config: ProcessorConfig, origin: Origin = "api") -> ProcessorView:
        """A new processor, stopped. Raises AlreadyExists, and ConfigError where its connectors' settings are wrong."""
        if name in self._processors:
            raise AlreadyExists(f"there is a processor {name!r} already")
        self._check(name, config)
        row = new_row(name, config, origin)
        known = self._store.get(name)
        row = self._store.put(row) if known is None or known.origin != origin else self._keep(known, row)
        processor = await self._add(row, config)
        log.info("created", processor=name, origin=origin)
        return processor.view()

    async def start(self, name: str, request: StartRequest | None = None) -> str:
        """The id of the session that begins. Returns before the source is connected. Raises NotFound, InUse."""
        processor = self._processor(name)
        async with processor.lock:
            return processor.start(request or StartRequest())

    async def bring_up(self, name: str) -> None:
        """Run it as its document wants: go on with a session that was cut off, else begin one, unless it ended by itself."""
        processor = self._processor(name)
        async with processor.lock:
            row = processor.row
            if row.wanted != "running" or processor.life.active:
                return
            if row.finished == row.document_hash:
                if self.journal.checkpoint(name) is not None:  # killed while it was winding up
                    await asyncio.to_thread(self.journal.clear_checkpoint, name)
                return
            await self._start_or_resume(processor)

    async def settle(self, name: str) -> None:
        """It is not to run: a session that a killed process left gets its summary."""
        processor = self._processor(name)
        async with processor.lock:
            if not processor.life.active:
                await asyncio.to_thread(processor.close_left_over, "stopped")

    async def forget_files(self) -> None:
        """Processors of files that were removed while nobody looked."""
        for row in self._store.all():
            if row.origin == "file" and row.name not in self._processors:
                self._store.delete(row.name)
                self.journal.forget(row.name)

    async def stop(self, name: str) -> None:
        """Returns when its session has ended, with its summary. Raises NotFound, and InUse where there is nothing to stop."""
        processor = self._processor(name)
        async with processor.lock:
            await processor.stop()

    async def update(self, name: str, config: ProcessorConfig, origin: Origin | None = None) -> ProcessorView:
        """Another document, applied with the least disturbance. Its ``state`` is not acted on. Raises as ``create``."""
        processor = self._processor(name)
        self._check(name, config)
        async with processor.lock:
            processor.save_document(config, origin or processor.row.origin)
            await self._set_outputs(processor, config)
            await processor.apply(config)
        log.info("updated", processor=name)
        return processor.view()

    async def delete(self, name: str) -> None:
        """Raises InUse while it runs."""
        processor = self._processor(name)
        async with processor.lock:
            if processor.life.active:
                raise InUse(f"{name} is {processor.life.state.value}; stop it first")
            del self._processors[name]
            self._store.delete(name)
            self.journal.forget(name)
            await self.outbox.remove(name)
            self._sinks.pop(name, None)
        self._count_states()
        log.info("deleted", processor=name)

    async def view(self, name: str) -> ProcessorView:
        if name in self.refused and name not in self._processors:
            return self._refused_view(name)
        return self._seen(self._processor(name))

    async def views(self) -> list[ProcessorView]:
        """All of them, by name; a file that was refused and has no good version is among them."""
        views = [self._seen(processor) for processor in self._processors.values()]
        views += [self._refused_view(name) for name in self.refused if name not in self._processors]
        return sorted(views, key=lambda view: view.name)

    async def wait(self, name: str) -> ProcessorView:
        """Until nothing of it runs any more."""
        processor = self._processor(name)
        await processor.idle.wait()
        return processor.view()

    def names(self, origin: Origin | None = None) -> list[str]:
        return sorted(
            name for name, processor in self._processors.items() if origin is None or processor.row.origin == origin
        )

    def known(self, name: str) -> bool:
        return name in self._processors

    def run_of(self, name: str) -> Run | None:
        """The run of a processor while it has one: its source to publish into, its feeder's taps and its lane's watchers to
        look on. Raises NotFound."""
        return self._processor(name).run

    def document_hash(self, name: str) -> str:
        return hash_of(self._processor(name).config)

    def images_of(self, event: Event) -> Images:
        """Where the processor's outputs keep an event's pictures: an output that gives URIs first."""
        sinks = [sink for _, sink in self._sinks.get(event.processor, {}).values() if isinstance(sink, ImageKeeper)]
        places = [sink.locate(event) for sink in sinks]
        return next((place for place in places if "://" in (place.frame or "")), places[0] if places else NOWHERE)

    # -- inside

    def _processor(self, name: str) -> Processor:
        processor = self._processors.get(name)
        if processor is None:
            raise NotFound(f"there is no processor {name!r}")
        return processor

    def _seen(self, processor: Processor) -> ProcessorView:
        """With what is wrong with its file, where the last good version is still there."""
        view = processor.view()
        return replace(view, message=view.message or self.refused.get(processor.name))

    def _keep(self, known: ProcessorRow, row: ProcessorRow) -> ProcessorRow:
        """A file that was known before this process: what became of it counts, unless its document changed."""
        if known.document == row.document:
            return replace(known, state="stopped", message="")
        return self._store.put(replace(row, finished=known.finished))

    async def _add(self, row: ProcessorRow, config: ProcessorConfig) -> Processor:
        services = ProcessorServices(
            SharedServices(self.journal, self.scheduler, self.provider),
            self._store,
            self._context,
            self._told,
            self._changed,
            self._about_to_run,
        )
        processor = Processor(row.name, config, services, row, self._count)
        self._count += 1
        self._processors[row.name] = processor
        await self._set_outputs(processor, config)
        self._count_states()
        return processor

    async def _start_or_resume(self, processor: Processor) -> None:
        resumed = None if self._ephemeral else processor.resumable()
        reason = processor.ended_with(resumed) if resumed is not None else None
        if resumed is not None and reason is not None:
            by_itself = reason not in ("shutdown", "restarted") and not reason.startswith("failed")
            await asyncio.to_thread(self.journal.clear_checkpoint, processor.name)
            if by_itself and processor.row.finished is None:
                processor.note_finished()
                return
            resumed = resumed.without_session()
        if resumed is None and not self._ephemeral:
            await asyncio.to_thread(processor.close_left_over, "changed while streamproc was not running")
        processor.start(resumed.request if resumed is not None else StartRequest(), resumed)

    async def _stop_quietly(self, processor: Processor) -> None:
        async with processor.lock:
            if processor.life.active:
                await processor.stop("shutdown")

    def _context(self, name: str) -> ConnectorContext:
        return connector_context(self.node, name, self.base_dir, self.database.data_dir, self.database.node_id)

    def _check(self, name: str, config: ProcessorConfig) -> None:
        """Connectors that a caller without a file got wrong; a file was checked when it was loaded."""
        places: list[tuple[str, ConnectorRef, Literal["source", "sink"]]] = [("source", config.source, "source")]
        places += [(f"outputs[{index}]", ref, "sink") for index, ref in enumerate(config.outputs)]
        faults = []
        for place, ref, role in places:
            try:
                check(ref, role)
            except ValidationError as error:
                for item in error.errors():
                    where = ".".join([place, *(str(part) for part in item["loc"])])
                    faults.append(Fault(where, item["msg"]))
        if faults:
            raise ConfigError(name, faults)

    async def _set_outputs(self, processor: Processor, config: ProcessorConfig) -> None:
        """Sinks whose settings did not change stay as they are, with what they have in hand."""
        before = self._sinks.get(processor.name, {})
        sinks: dict[str, tuple[ConnectorRef, Sink]] = {}
        try:
            wanted = outputs_of(processor.name, config, self.node.outputs)
            for output in wanted:
                kept = before.get(output.key)
                sink = (
                    kept[1] if kept and kept[0] == output.ref else make_sink(output.ref, self._context(processor.name))
                )
                sinks[output.key] = (output.ref, sink)
        except ValueError as error:
            raise InputError(f"{processor.name}: outputs: {error}") from None
        self._sinks[processor.name] = sinks
        processor.committer.routes = tuple(output.route for output in wanted)
        await self.outbox.set_outputs(processor.name, {key: sink for key, (_, sink) in sinks.items()})

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

    def _changed(self, processor: Processor) -> None:
        self._count_states()

    def _about_to_run(self, processor: Processor) -> None:
        for listener in self.run_listeners:
            listener(processor.name)

    def _count_states(self) -> None:
        for state in State:
            count = sum(processor.life.state is state for processor in self._processors.values())
            metrics.PROCESSORS.labels(state.value).set(count + (len(self.refused) if state is State.REFUSED else 0))

    def _refused_view(self, name: str) -> ProcessorView:
        now = datetime.now(UTC)
        config = ProcessorConfig.model_construct(source=ConnectorRef.model_construct(type="unknown"), state="stopped")
        return ProcessorView(name, config, State.REFUSED.value, self.refused[name], now, now, "file")

    async def _tick(self) -> None:
        while True:
            for processor in list(self._processors.values()):
                processor.check()
            await asyncio.sleep(TICK_S)

    async def _govern(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            lanes = [processor.run.lane for processor in self._processors.values() if processor.run is not None]
            try:
                await asyncio.to_thread(self.governor.tick, lanes)
            except Exception:  # the boundary of the governor: the lanes go on as they are
                log.exception("governor_failed")

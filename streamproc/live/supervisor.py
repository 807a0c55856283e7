"""All processors of the box, and the one way into control: config files, the CLI, the control API and the AWS endpoint call this."""

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
from streamproc.config.box import BoxConfig
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.config.routes import outputs as outputs_of
from streamproc.contracts import NOWHERE, ImageKeeper, Images, Renderer, Sink
from streamproc.core.errors import AlreadyExists, ConfigError, Fault, InputError, InUse, NotFound, SinkDenied
from streamproc.core.event import Event
from streamproc.core.start import StartRequest
from streamproc.live.assembly import Seers, connector_context
from streamproc.live.governor import EVERY_S, Governor
from streamproc.live.run import Run, Surroundings
from streamproc.live.scheduler import Scheduler
from streamproc.live.unit import House, Unit, hash_of, new_row
from streamproc.live.view import ProcessorView
from streamproc.logic.lifecycle import State
from streamproc.outbox.outbox import Outbox
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
        box: BoxConfig,
        base_dir: Path,
        database: Database,
        *,
        renderers: Mapping[str, Renderer],
        seers: Seers | None = None,
        ephemeral: bool = False,
    ) -> None:
        """``base_dir``: what relative paths of configs start from. ``ephemeral``: nothing is resumed (``run``)."""
        self.box = box
        self.base_dir = base_dir
        self.database = database
        self.journal = Journal(database)
        self.outbox = Outbox(self.journal, renderers, box.outbox)
        self.outbox.delivered_listeners.append(self._delivered)
        self.outbox.denied_listeners.append(self._denied)
        self.scheduler = Scheduler(box.workers)
        self.governor = Governor(box.cpu_target)
        self.seers = seers or Seers(box, database.data_dir, workers=self.scheduler.workers)
        self.listeners: list[Callable[[Sequence[Event]], None]] = []
        """Called in the loop with events that have just become durable."""
        self.run_listeners: list[Callable[[str], None]] = []
        """Called in the loop with the name of a processor whose run is about to begin to read."""
        self.fails_on: Callable[[ProcessorConfig, SinkDenied], str | None] = lambda config, error: None
        """What a processor is to fail with whose output may not deliver; None: it goes on, and the events wait."""
        self.refused: dict[str, str] = {}
        """Files that were refused: processor name and why."""
        self._store = ProcessorStore(database)
        self._units: dict[str, Unit] = {}
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
            unit = await self._add(row, config)
            if row.wanted == "running" and row.finished is None:
                await self._start_or_resume(unit)

    async def close(self, drain_s: float = 10.0) -> None:
        """End every session with its summary, deliver what can be delivered, stop."""
        active = [unit for unit in self._units.values() if unit.life.active]
        await asyncio.gather(*(self._stop_quietly(unit) for unit in active))
        left = await self.outbox.drain(drain_s)
        if left:
            log.warning("deliveries_wait_for_the_next_start", count=left)
        await self.outbox.aclose()
        for ticker in self._tickers:
            ticker.cancel()
        await asyncio.to_thread(self.scheduler.stop)
        await asyncio.to_thread(self.database.close)

    async def adopt(self, box: BoxConfig) -> None:
        """Another document of the box, as far as that goes without a restart: ``cpu_target``, ``outbox``, ``outputs``."""
        self.governor.retarget(box.cpu_target)
        self.outbox.settings = box.outbox
        before = self.box.outputs
        self.box = self.box.model_copy(update={key: getattr(box, key) for key in ("cpu_target", "outbox", "outputs")})
        for unit in [*self._units.values()] if box.outputs != before else []:
            async with unit.lock:
                await self._set_outputs(unit, unit.config)

    # -- control

    async def create(self, name: str, config: ProcessorConfig, origin: Origin = "api") -> ProcessorView:
        """A new processor, stopped. Raises AlreadyExists, and ConfigError where its connectors' settings are wrong."""
        if name in self._units:
            raise AlreadyExists(f"there is a processor {name!r} already")
        self._check(name, config)
        row = new_row(name, config, origin)
        known = self._store.get(name)
        row = self._store.put(row) if known is None or known.origin != origin else self._keep(known, row)
        unit = await self._add(row, config)
        log.info("created", processor=name, origin=origin)
        return unit.view()

    async def start(self, name: str, request: StartRequest | None = None) -> str:
        """The id of the session that begins. Returns before the source is connected. Raises NotFound, InUse."""
        unit = self._unit(name)
        async with unit.lock:
            return unit.start(request or StartRequest())

    async def bring_up(self, name: str) -> None:
        """Run it as its document wants: go on with a session that was cut off, else begin one, unless it ended by itself."""
        unit = self._unit(name)
        async with unit.lock:
            row = unit.row
            if row.wanted != "running" or unit.life.active:
                return
            if row.finished == row.document_hash:
                if self.journal.checkpoint(name) is not None:  # killed while it was winding up
                    await asyncio.to_thread(self.journal.clear_checkpoint, name)
                return
            await self._start_or_resume(unit)

    async def settle(self, name: str) -> None:
        """It is not to run: a session that a killed process left gets its summary."""
        unit = self._unit(name)
        async with unit.lock:
            if not unit.life.active:
                await asyncio.to_thread(unit.close_left_over, "stopped")

    async def forget_files(self) -> None:
        """Processors of files that were removed while nobody looked."""
        for row in self._store.all():
            if row.origin == "file" and row.name not in self._units:
                self._store.delete(row.name)
                self.journal.forget(row.name)

    async def stop(self, name: str) -> None:
        """Returns when its session has ended, with its summary. Raises NotFound, and InUse where there is nothing to stop."""
        unit = self._unit(name)
        async with unit.lock:
            await unit.stop()

    async def update(self, name: str, config: ProcessorConfig, origin: Origin | None = None) -> ProcessorView:
        """Another document, applied with the least disturbance. Its ``state`` is not acted on. Raises as ``create``."""
        unit = self._unit(name)
        self._check(name, config)
        async with unit.lock:
            unit.save_document(config, origin or unit.row.origin)
            await self._set_outputs(unit, config)
            await unit.apply(config)
        log.info("updated", processor=name)
        return unit.view()

    async def delete(self, name: str) -> None:
        """Raises InUse while it runs."""
        unit = self._unit(name)
        async with unit.lock:
            if unit.life.active:
                raise InUse(f"{name} is {unit.life.state.value}; stop it first")
            del self._units[name]
            self._store.delete(name)
            self.journal.forget(name)
            await self.outbox.remove(name)
            self._sinks.pop(name, None)
        self._count_states()
        log.info("deleted", processor=name)

    async def view(self, name: str) -> ProcessorView:
        if name in self.refused and name not in self._units:
            return self._refused_view(name)
        return self._seen(self._unit(name))

    async def views(self) -> list[ProcessorView]:
        """All of them, by name; a file that was refused and has no good version is among them."""
        views = [self._seen(unit) for unit in self._units.values()]
        views += [self._refused_view(name) for name in self.refused if name not in self._units]
        return sorted(views, key=lambda view: view.name)

    async def wait(self, name: str) -> ProcessorView:
        """Until nothing of it runs any more."""
        unit = self._unit(name)
        await unit.idle.wait()
        return unit.view()

    def names(self, origin: Origin | None = None) -> list[str]:
        return sorted(name for name, unit in self._units.items() if origin is None or unit.row.origin == origin)

    def known(self, name: str) -> bool:
        return name in self._units

    def run_of(self, name: str) -> Run | None:
        """The run of a processor while it has one: its source to publish into, its feeder's taps and its lane's watchers to
        look on. Raises NotFound."""
        return self._unit(name).run

    def document_hash(self, name: str) -> str:
        return hash_of(self._unit(name).config)

    def images_of(self, event: Event) -> Images:
        """Where the processor's outputs keep an event's pictures: an output that gives URIs first."""
        sinks = [sink for _, sink in self._sinks.get(event.processor, {}).values() if isinstance(sink, ImageKeeper)]
        places = [sink.locate(event) for sink in sinks]
        return next((place for place in places if "://" in (place.frame or "")), places[0] if places else NOWHERE)

    # -- inside

    def _unit(self, name: str) -> Unit:
        unit = self._units.get(name)
        if unit is None:
            raise NotFound(f"there is no processor {name!r}")
        return unit

    def _seen(self, unit: Unit) -> ProcessorView:
        """With what is wrong with its file, where the last good version is still there."""
        view = unit.view()
        return replace(view, message=view.message or self.refused.get(unit.name))

    def _keep(self, known: ProcessorRow, row: ProcessorRow) -> ProcessorRow:
        """A file that was known before this process: what became of it counts, unless its document changed."""
        if known.document == row.document:
            return replace(known, state="stopped", message="")
        return self._store.put(replace(row, finished=known.finished))

    async def _add(self, row: ProcessorRow, config: ProcessorConfig) -> Unit:
        house = House(
            Surroundings(self.journal, self.scheduler, self.seers),
            self._store,
            self._context,
            self._told,
            self._changed,
            self._about_to_run,
        )
        unit = Unit(row.name, config, house, row, self._count)
        self._count += 1
        self._units[row.name] = unit
        await self._set_outputs(unit, config)
        self._count_states()
        return unit

    async def _start_or_resume(self, unit: Unit) -> None:
        resumed = None if self._ephemeral else unit.resumable()
        reason = unit.ended_with(resumed) if resumed is not None else None
        if resumed is not None and reason is not None:
            by_itself = reason not in ("shutdown", "restarted") and not reason.startswith("failed")
            await asyncio.to_thread(self.journal.clear_checkpoint, unit.name)
            if by_itself and unit.row.finished is None:
                unit.note_finished()
                return
            resumed = resumed.without_session(unit.config)
        if resumed is None and not self._ephemeral:
            await asyncio.to_thread(unit.close_left_over, "changed while streamproc was not running")
        unit.start(resumed.request if resumed is not None else StartRequest(), resumed)

    async def _stop_quietly(self, unit: Unit) -> None:
        async with unit.lock:
            if unit.life.active:
                await unit.stop("shutdown")

    def _context(self, name: str) -> ConnectorContext:
        return connector_context(self.box, name, self.base_dir, self.database.data_dir, self.database.box_id)

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

    async def _set_outputs(self, unit: Unit, config: ProcessorConfig) -> None:
        """Sinks whose settings did not change stay as they are, with what they have in hand."""
        before = self._sinks.get(unit.name, {})
        sinks: dict[str, tuple[ConnectorRef, Sink]] = {}
        try:
            wanted = outputs_of(unit.name, config, self.box.outputs)
            for output in wanted:
                kept = before.get(output.key)
                sink = kept[1] if kept and kept[0] == output.ref else make_sink(output.ref, self._context(unit.name))
                sinks[output.key] = (output.ref, sink)
        except ValueError as error:
            raise InputError(f"{unit.name}: outputs: {error}") from None
        self._sinks[unit.name] = sinks
        unit.committer.routes = tuple(output.route for output in wanted)
        await self.outbox.set_outputs(unit.name, {key: sink for key, (_, sink) in sinks.items()})

    def _told(self, events: Sequence[Event]) -> None:
        """In a worker thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, events)

    def _tell(self, events: Sequence[Event]) -> None:
        for listener in self.listeners:
            listener(events)

    def _delivered(self, event: Event) -> None:
        unit = self._units.get(event.processor)
        if unit is not None:
            unit.delivered(event)

    def _denied(self, processor: str, error: SinkDenied) -> None:
        unit = self._units.get(processor)
        words = self.fails_on(unit.config, error) if unit is not None else None
        if unit is not None and words is not None:
            unit.fail(words)

    def _changed(self, unit: Unit) -> None:
        self._count_states()

    def _about_to_run(self, unit: Unit) -> None:
        for listener in self.run_listeners:
            listener(unit.name)

    def _count_states(self) -> None:
        for state in State:
            count = sum(unit.life.state is state for unit in self._units.values())
            metrics.PROCESSORS.labels(state.value).set(count + (len(self.refused) if state is State.REFUSED else 0))

    def _refused_view(self, name: str) -> ProcessorView:
        now = datetime.now(UTC)
        config = ProcessorConfig.model_construct(source=ConnectorRef.model_construct(type="unknown"), state="stopped")
        return ProcessorView(name, config, State.REFUSED.value, self.refused[name], now, now, "file")

    async def _tick(self) -> None:
        while True:
            for unit in list(self._units.values()):
                unit.check()
            await asyncio.sleep(TICK_S)

    async def _govern(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            lanes = [unit.run.lane for unit in self._units.values() if unit.run is not None]
            try:
                await asyncio.to_thread(self.governor.tick, lanes)
            except Exception:  # the boundary of the governor: the lanes go on as they are
                log.exception("governor_failed")

"""The outputs of every processor: their sinks, and the outbox that delivers to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from streamproc.config.node import HistorySettings, OutboxSettings
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.config.routes import outputs as outputs_of
from streamproc.contracts import NOWHERE, Delivery, ImageKeeper, Images, Renderer, Sink, StatusSink
from streamproc.core.errors import InputError, NotFound
from streamproc.core.event import Event
from streamproc.core.route import Route
from streamproc.outbox.outbox import Outbox
from streamproc.store.journal import Journal

log = structlog.get_logger(__name__)
TRY_OUT_S = 20.0


class Outputs:
    """Belongs to the event loop, as the outbox does."""

    def __init__(
        self,
        journal: Journal,
        renderers: Mapping[str, Renderer],
        settings: tuple[OutboxSettings, HistorySettings],
        context: Callable[[str], ConnectorContext],
    ) -> None:
        """``context``: what a processor's connectors are told, by its name."""
        self.outbox = Outbox(journal, renderers, *settings)
        self._renderers = renderers
        self.appeared: Callable[[str], None] = lambda name: None
        """Called in the loop with the name of a processor whose outputs are others now, before those that are gone are closed."""
        self._context = context
        self._sinks: dict[str, dict[str, tuple[ConnectorRef, Sink]]] = {}

    async def set(
        self,
        name: str,
        config: ProcessorConfig,
        common: Sequence[ConnectorRef],
        route: Callable[[tuple[Route, ...]], None],
    ) -> None:
        """Give a processor the outputs of its document, or the ``common`` ones where it has none.

        ``route`` is called with where its events go before any sink changes, so that no event is owed to one that has just been
        closed. Sinks whose settings did not change stay as they are, with what they have in hand. Raises InputError, and nothing
        has changed then.
        """
        before = self._sinks.get(name, {})
        sinks: dict[str, tuple[ConnectorRef, Sink]] = {}
        try:
            wanted = outputs_of(name, config, common)
            for output in wanted:
                kept = before.get(output.key)
                unchanged = kept is not None and kept[0] == output.ref
                sink = kept[1] if kept and unchanged else make_sink(output.ref, self._context(name))
                sinks[output.key] = (output.ref, sink)
        except ValueError as error:
            raise InputError(f"{name}: outputs: {error}") from None
        self._sinks[name] = sinks
        route(tuple(output.route for output in wanted))
        # What shows states in the same place takes it over before the one that had it leaves.
        self.appeared(name)
        await _retire(sink for key, (_, sink) in before.items() if key not in sinks or sinks[key][1] is not sink)
        await self.outbox.set_outputs(name, {key: sink for key, (_, sink) in sinks.items()})

    async def remove(self, name: str) -> None:
        """The processor is deleted: what it owes is delivered first, as far as that goes."""
        await _retire(sink for _, sink in self._sinks.get(name, {}).values())
        await self.outbox.remove(name)
        self._sinks.pop(name, None)

    def types(self) -> dict[str, str]:
        """Every output by its key, and which connector it is."""
        return {key: ref.type for sinks in self._sinks.values() for key, (ref, _) in sinks.items()}

    async def try_out(self, key: str, event: Event) -> None:
        """Deliver an event to one output past the journal, once. Raises NotFound, SinkBusy, SinkRejected, TimeoutError."""
        found = self._sinks.get(key.partition("/")[0], {}).get(key)
        if found is None:
            raise NotFound(f"there is no output {key!r}")
        async with asyncio.timeout(TRY_OUT_S):
            await found[1].deliver(Delivery(event, None, {}, NOWHERE, self._renderers))

    def status_sinks(self, name: str) -> dict[str, StatusSink]:
        """The processor's outputs that show states, by key."""
        return {key: sink for key, (_, sink) in self._sinks.get(name, {}).items() if isinstance(sink, StatusSink)}

    def images_of(self, event: Event) -> Images:
        """Where the processor's outputs keep an event's pictures: an output that gives URIs first."""
        sinks = [sink for _, sink in self._sinks.get(event.processor, {}).values() if isinstance(sink, ImageKeeper)]
        places = [place for sink in sinks if (place := sink.locate(event)) != NOWHERE]
        return next((place for place in places if "://" in (place.frame or "")), places[0] if places else NOWHERE)


async def _retire(sinks: Iterable[Sink]) -> None:
    for sink in sinks:
        if isinstance(sink, StatusSink):
            try:
                await sink.retire()
            except (
                Exception
            ):  # the boundary of a sink: what it could not take back must not keep the edit from being done
                log.warning("output_not_retired_cleanly", exc_info=True)

"""All outputs of all processors: attached, woken by commits and by the clock, drained and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from streamproc.config.node import HistorySettings, OutboxSettings
from streamproc.contracts import NOWHERE, ImageKeeper, Images, Renderer, Sink
from streamproc.core.event import Event
from streamproc.outbox.dead import DeadLetters
from streamproc.outbox.gate import Gate
from streamproc.outbox.housekeeping import Housekeeper
from streamproc.outbox.output import DeliveryServices, Output
from streamproc.store.deliveries import DeliveryStore
from streamproc.store.journal import Journal
from streamproc.threads import DATABASE


class Outbox:
    """Owns the sinks. All methods belong to the event loop's thread; the journal wakes it from any thread.

    Call ``set_outputs`` for every processor that exists, running or not: what an earlier process owed is delivered then.
    """

    def __init__(
        self,
        journal: Journal,
        renderers: Mapping[str, Renderer],
        settings: OutboxSettings | None = None,
        history: HistorySettings | None = None,
    ) -> None:
        self._journal = journal
        self._store = DeliveryStore(journal)
        self._outputs: dict[str, Output] = {}
        self._housekeeper = Housekeeper(journal, self._store, settings or OutboxSettings(), self._wake_again, history)
        self.gate = Gate()
        dead = DeadLetters(journal.database.data_dir / "dead-letters.jsonl")
        self._services = DeliveryServices(self._store, journal.spool, dead, renderers, self.gate, self._locate)
        self.delivered_listeners = self._services.delivered_listeners
        self.denied_listeners = self._services.denied_listeners
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = False

    def adopt(self, settings: OutboxSettings, history: HistorySettings) -> None:
        """Another quota, and other times for which events are kept; they count from the next time it tidies up."""
        self._housekeeper.settings, self._housekeeper.history = settings, history

    async def start(self) -> None:
        """Begin to deliver. Outputs may be set before or after."""
        self._loop = asyncio.get_running_loop()
        self._running = True
        self._journal.subscribe(self._on_commit)
        self._housekeeper.start()
        await self.look_again()

    async def set_outputs(self, processor: str, sinks: Mapping[str, Sink]) -> None:
        """These are the processor's outputs now, by key. Sinks that are no longer among them are closed; the same object stays."""
        for output in [item for item in self._outputs.values() if item.processor == processor]:
            if sinks.get(output.key) is not output.sink:
                await self._detach(output)
        for key, sink in sinks.items():
            if key not in self._outputs:
                self._outputs[key] = Output(key, processor, sink, self._services)
        if self._running:
            await self.look_again()

    def busy(self, processor: str) -> bool:
        """Whether something of the processor is being delivered."""
        return any(output.tasks for output in self._outputs.values() if output.processor == processor)

    async def remove(self, processor: str, timeout_s: float = 5.0) -> None:
        """The processor was deleted: deliver what it owes, as far as that goes within the time, then close its outputs."""
        await self._drain([item for item in self._outputs.values() if item.processor == processor], timeout_s)
        await self.set_outputs(processor, {})

    async def drain(self, timeout_s: float) -> int:
        """Try everything that waits once more, at most so long; returns how many deliveries still wait (for the next start)."""
        await self._drain(list(self._outputs.values()), timeout_s)
        counts = await DATABASE.run(self._store.counts)
        return sum(number for (_, state), number in counts.items() if state == "waiting")

    async def aclose(self) -> None:
        """Stop delivering and close every sink. What waits stays in the journal."""
        self._running = False
        with suppress(ValueError):
            self._journal.unsubscribe(self._on_commit)
        await self._housekeeper.aclose()
        for output in list(self._outputs.values()):
            await self._detach(output)

    # -- waking

    def _on_commit(self, owed: set[tuple[str, str]]) -> None:
        """In the committing thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closing: the next process delivers.
                self._loop.call_soon_threadsafe(self._wake, owed)

    async def look_again(self) -> None:
        self._wake_again(set(await DATABASE.run(self._store.waiting_sessions)))

    def _wake_again(self, owed: set[tuple[str, str]]) -> None:
        """Not news: what had its last try in a drain is left alone."""
        self._wake({pair for pair in owed if (output := self._outputs.get(pair[0])) and not output.draining})

    def _wake(self, owed: set[tuple[str, str]]) -> None:
        for key, session in owed:
            output = self._outputs.get(key)
            if output is not None and self._running:
                output.wake(session)

    # -- ending

    async def _drain(self, outputs: list[Output], timeout_s: float) -> None:
        for output in outputs:
            output.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(0)  # Commits of the last moment are waiting to wake us.
                while tasks := [task for output in outputs for task in output.tasks]:
                    await asyncio.wait(tasks)

    async def _detach(self, output: Output) -> None:
        del self._outputs[output.key]
        await output.aclose()

    def _locate(self, processor: str, event: Event) -> Images:
        """Where others find the pictures: an output that gives URIs, else one that keeps files."""
        places = [
            place
            for output in self._outputs.values()
            if output.processor == processor and isinstance(output.sink, ImageKeeper)
            if (place := output.sink.locate(event)) != NOWHERE
        ]
        return next((place for place in places if "://" in (place.frame or "")), places[0] if places else NOWHERE)

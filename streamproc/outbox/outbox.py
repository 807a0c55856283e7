"""The delivery loop: one small task for each session that an output has not been told everything of."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import structlog

from streamproc.config.node import HistorySettings, OutboxSettings
from streamproc.contracts import NOWHERE, Delivery, ImageKeeper, Images, Renderer, Sink
from streamproc.core.errors import SinkBusy, SinkDenied, SinkRejected, StorageUnavailable
from streamproc.core.event import Event, Pictures
from streamproc.logic.backoff import BackoffRule
from streamproc.metrics import DELIVERIES, DELIVERY_DELAY
from streamproc.outbox.dead import DeadLetters
from streamproc.outbox.gate import Gate
from streamproc.outbox.housekeeping import Housekeeper
from streamproc.store.deliveries import DeliveryStore, PendingDelivery
from streamproc.store.journal import Journal
from streamproc.threads import DATABASE
from streamproc.trouble import Trouble

log = structlog.get_logger()

RETRY = BackoffRule(first_s=0.2, factor=2.0, cap_s=15.0, low=0.5)
ATTEMPT_TIMEOUT_S = 30.0
MAX_RETRY_AFTER_S = 3600.0
_AT_ONCE = 8
"""Sessions that an output is told of at the same time."""
_BATCH = 32
_FAULTS_BEFORE_DEAD = 5
"""An error that no sink should raise is a bug; an event that meets one that often is put aside."""


@dataclass
class _Output:
    """An attached output and its work in hand."""

    key: str
    processor: str
    sink: Sink
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    """Sessions that got something new since their task last looked."""
    healthy: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a delivery succeeded: who waits out a back-off tries again at once."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    confirmed: set[int] = field(default_factory=set)
    """Events that the output has taken and of which the disk does not know yet: they are not delivered again."""
    refused: dict[int, str] = field(default_factory=dict)
    """Events that the output has refused, and why, while the disk takes no dead letters: they are not delivered again."""
    lettered: set[int] = field(default_factory=set)
    """Of them those that stand in the file of dead letters already."""
    faults: Counter[int] = field(default_factory=Counter)
    """Errors that no sink should raise, by event."""
    failing: set[str] = field(default_factory=set)
    """Sessions whose last attempt it could not take."""

    def __post_init__(self) -> None:
        self.busy = Trouble("output_busy", "output_delivers_again", output=self.key)
        self.stopped = Trouble("delivery_stopped", "delivery_goes_on", output=self.key)

    def works(self, session: str) -> None:
        """Nothing of the session is held up."""
        self.failing.discard(session)
        if not self.failing:
            self.busy.over()


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
        self._renderers = renderers
        self._outputs: dict[str, _Output] = {}
        self._random = Random()
        self._dead = DeadLetters(journal.database.data_dir / "dead-letters.jsonl")
        self._housekeeper = Housekeeper(journal, self._store, settings or OutboxSettings(), self._wake_again, history)
        self.delivered_listeners: list[Callable[[Event], None]] = []
        """Called in the loop with an event each time an output has confirmed it. Must be quick."""
        self.gate = Gate()
        self.denied_listeners: list[Callable[[str, SinkDenied], None]] = []
        """Called in the loop with the processor when an output says that it may not, each time it is tried. Must be quick."""
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
                self._outputs[key] = _Output(key, processor, sink)
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
        self._wake({pair for pair in owed if (output := self._outputs.get(pair[0])) and not output.draining.is_set()})

    def _wake(self, owed: set[tuple[str, str]]) -> None:
        for key, session in owed:
            output = self._outputs.get(key)
            if output is None or not self._running:
                continue
            output.dirty.add(session)
            if session not in output.tasks:
                output.tasks[session] = asyncio.create_task(self._work(output, session), name=f"outbox {key} {session}")

    # -- one session to one output

    async def _work(self, output: _Output, session: str) -> None:
        """Deliver in order until nothing of the session waits."""
        failures = 0
        try:
            while session in output.dirty:
                output.dirty.discard(session)
                await self._write_confirmed(output)
                if not await self.gate.is_open(output.processor):
                    return
                owed = await DATABASE.run(self._store.next, output.key, session, _BATCH)
                if not owed:
                    output.works(session)
                    continue
                output.dirty.add(session)
                failure = await self._deliver_batch(output, owed)
                failures = failures + 1 if failure else 0
                if failure and not await self._pause(output, failures, failure):
                    return
        except StorageUnavailable as error:  # housekeeping wakes the session again
            log.debug("delivery_waits", output=output.key, session=session, reason=str(error))
        except Exception as error:  # noqa: BLE001 - the boundary: housekeeping wakes the session again
            output.stopped.met(repr(error), bug=error, session=session)
        else:
            output.stopped.over()
        finally:
            if output.tasks.get(session) is asyncio.current_task():
                del output.tasks[session]

    async def _deliver_batch(self, output: _Output, owed: list[PendingDelivery]) -> SinkBusy | None:
        """Deliver until one fails for now; that failure. What was confirmed is marked in one transaction."""
        try:
            for item in owed:
                if item.seq in output.refused:
                    await self._put_aside(output, item)
                    continue
                try:
                    async with output.slots:
                        await self._attempt(output, item)
                except SinkRejected as error:
                    self._note_refusal(output, item, str(error))
                    await self._put_aside(output, item)
                except SinkBusy as error:
                    await self._note_failure(output, item, error)
                    return error
                else:
                    output.confirmed.add(item.seq)
                    self._note_success(output, item)
        finally:
            # Shielded: a cancelled task must not forget what the output has taken.
            await asyncio.shield(self._write_confirmed(output))
        return None

    async def _write_confirmed(self, output: _Output) -> None:
        """Raises StorageUnavailable; what is confirmed stays in memory then."""
        seqs = sorted(output.confirmed)
        if seqs:
            await DATABASE.run(self._store.delivered, output.key, seqs)
            output.confirmed.difference_update(seqs)

    async def _attempt(self, output: _Output, item: PendingDelivery) -> None:
        """Raises SinkBusy or SinkRejected, nothing else."""
        delivery = await self._delivery(output, item)
        await self.gate.enter(output.processor)
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                await output.sink.deliver(delivery)
        except (SinkBusy, SinkRejected):
            raise
        except TimeoutError:
            raise SinkBusy(f"no answer within {ATTEMPT_TIMEOUT_S:.0f} s") from None
        except Exception as error:  # Boundary: a sink's bug must not end the delivery of everything else.
            log.exception("output_failed_unexpectedly", output=output.key, event_id=item.event.id)
            output.faults[item.seq] += 1
            if output.faults[item.seq] >= _FAULTS_BEFORE_DEAD:
                raise SinkRejected(f"unexpected {type(error).__name__}: {error}") from error
            raise SinkBusy(f"unexpected {type(error).__name__}: {error}") from error

    async def _delivery(self, output: _Output, item: PendingDelivery) -> Delivery:
        event, pictures, images = item.event, None, NOWHERE
        if event.has_pictures:
            wanted = isinstance(output.sink, ImageKeeper)
            kept, pictures = await DATABASE.run(self._pictures, event, wanted)
            images = _locate(self._outputs.values(), output.processor, event) if kept else NOWHERE
        return Delivery(event, pictures, item.context, images, self._renderers)

    def _pictures(self, event: Event, wanted: bool) -> tuple[bool, Pictures | None]:
        """Whether the spool still has them, and they themselves if wanted."""
        if wanted:
            pictures = self._journal.spool.read(event.session, event.id)
            return pictures is not None, pictures
        return self._journal.spool.has(event.session, event.id), None

    def _note_success(self, output: _Output, item: PendingDelivery) -> None:
        DELIVERIES.labels(output.key, "delivered").inc()
        DELIVERY_DELAY.labels(output.key).observe(max(0.0, time.time() - item.stored))
        output.faults.pop(item.seq, None)
        output.healthy.set()
        output.works(item.event.session)
        for listener in self.delivered_listeners:
            listener(item.event)
        self.gate.settled(output.key, item.event)

    async def _note_failure(self, output: _Output, item: PendingDelivery, failure: SinkBusy) -> None:
        DELIVERIES.labels(output.key, "busy").inc()
        output.failing.add(item.event.session)
        output.busy.met(failure, event_id=item.event.id)
        with suppress(StorageUnavailable):  # the count of attempts is for people; the wait before the next one is kept
            await DATABASE.run(self._store.failed, output.key, item.seq, str(failure))
        if isinstance(failure, SinkDenied):
            for listener in self.denied_listeners:
                listener(output.processor, failure)

    def _note_refusal(self, output: _Output, item: PendingDelivery, reason: str) -> None:
        DELIVERIES.labels(output.key, "dead").inc()
        log.error("output_refused", output=output.key, event_id=item.event.id, reason=reason)
        output.faults.pop(item.seq, None)
        output.refused[item.seq] = reason

    async def _put_aside(self, output: _Output, item: PendingDelivery) -> None:
        """Raises StorageUnavailable; the refusal stays in memory then."""
        reason = output.refused[item.seq]
        if item.seq not in output.lettered:
            await DATABASE.run(self._dead.add, item, reason)
            output.lettered.add(item.seq)
        await DATABASE.run(self._store.dead, output.key, item.seq, reason)
        del output.refused[item.seq]
        output.lettered.discard(item.seq)
        self.gate.settled(output.key, item.event)

    async def _pause(self, output: _Output, failures: int, failure: SinkBusy) -> bool:
        """Wait out the back-off, less where the output is seen to work again; False when it is time to end.

        Draining cuts the wait short for one last try.
        """
        if output.draining.is_set():
            return False
        wait = RETRY.wait(failures, self._random)
        if failure.retry_after is not None:
            wait = min(MAX_RETRY_AFTER_S, max(wait, failure.retry_after))
            return not await _happens(output.draining, wait)
        output.healthy.clear()
        if await _happens(output.healthy, wait) and not output.draining.is_set():
            # All who waited would try at once, and one bad event beside good ones would spin.
            await asyncio.sleep(self._random.uniform(0.05, 0.2) * min(failures, 10))
        return True

    # -- ending

    async def _drain(self, outputs: list[_Output], timeout_s: float) -> None:
        for output in outputs:
            output.draining.set()
            output.healthy.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(0)  # Commits of the last moment are waiting to wake us.
                while tasks := [task for output in outputs for task in output.tasks.values()]:
                    await asyncio.wait(tasks)

    async def _detach(self, output: _Output) -> None:
        del self._outputs[output.key]
        tasks = list(output.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S / 6):
                await output.sink.aclose()
        except Exception:  # Boundary: closing is a courtesy, the sink is not used any more.
            log.warning("output_not_closed_cleanly", output=output.key, exc_info=True)


def _locate(outputs: Iterable[_Output], processor: str, event: Event) -> Images:
    """Where others find the pictures: an output that gives URIs, else one that keeps files."""
    places = [
        place
        for output in outputs
        if output.processor == processor and isinstance(output.sink, ImageKeeper)
        if (place := output.sink.locate(event)) != NOWHERE
    ]
    return next((place for place in places if "://" in (place.frame or "")), places[0] if places else NOWHERE)


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    """Wait for it, at most so long; whether it is so."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()

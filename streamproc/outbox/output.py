"""One output and its deliveries: one small task for each session that it has not been told everything of."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import structlog

from streamproc.contracts import NOWHERE, Delivery, ImageKeeper, Images, Renderer, Sink
from streamproc.core.errors import SinkBusy, SinkDenied, SinkRejected, StorageUnavailable
from streamproc.core.event import Event
from streamproc.logic.backoff import BackoffRule
from streamproc.metrics import DELIVERIES, DELIVERY_DELAY
from streamproc.outbox.dead import DeadLetters
from streamproc.outbox.gate import Gate
from streamproc.outbox.pictures import pictures_for
from streamproc.outbox.verdicts import Verdicts
from streamproc.store.deliveries import DeliveryStore, PendingDelivery
from streamproc.store.spool import Spool
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


@dataclass(frozen=True)
class DeliveryServices:
    """What the deliveries of all outputs stand on."""

    store: DeliveryStore
    spool: Spool
    dead: DeadLetters
    renderers: Mapping[str, Renderer]
    gate: Gate
    locate: Callable[[str, Event], Images]
    """Where the outputs of a processor keep an event's pictures."""
    delivered_listeners: list[Callable[[Event], None]] = field(default_factory=list)
    """Called in the loop with an event each time an output has confirmed it. Must be quick."""
    denied_listeners: list[Callable[[str, SinkDenied], None]] = field(default_factory=list)
    """Called in the loop with the processor when an output says that it may not, each time it is tried. Must be quick."""
    random: Random = field(default_factory=Random)


class Output:
    """An attached output. All methods belong to the event loop's thread."""

    def __init__(self, key: str, processor: str, sink: Sink, services: DeliveryServices) -> None:
        self.key = key
        self.processor = processor
        self.sink = sink
        self._services = services
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._dirty: set[str] = set()
        """Sessions that got something new since their task last looked."""
        self._healthy = asyncio.Event()
        """Set when a delivery succeeded: who waits out a back-off tries again at once."""
        self._last_try = asyncio.Event()
        """What fails from now on waits for the next process."""
        self._verdicts = Verdicts(key, services.store, services.dead)
        self._faults: Counter[int] = Counter()
        """Errors that no sink should raise, by event."""
        self._failing: set[str] = set()
        """Sessions whose last attempt it could not take."""
        self._busy = Trouble("output_busy", "output_delivers_again", output=key)
        self._stopped = Trouble("delivery_stopped", "delivery_goes_on", output=key)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Of the sessions that it is being told of."""
        return list(self._tasks.values())

    @property
    def draining(self) -> bool:
        """Whether what waits had, or has, its last try."""
        return self._last_try.is_set()

    def wake(self, session: str) -> None:
        """The session may have something that the output has not been told."""
        self._dirty.add(session)
        if session not in self._tasks:
            self._tasks[session] = asyncio.create_task(self._work(session), name=f"outbox {self.key} {session}")

    def drain(self) -> None:
        """What waits is tried once more, now; what fails then waits for the next process."""
        self._last_try.set()
        self._healthy.set()

    async def aclose(self) -> None:
        """End its tasks and close its sink."""
        tasks = self.tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S / 6):
                await self.sink.aclose()
        except Exception:  # Boundary: closing is a courtesy, the sink is not used any more.
            log.warning("output_not_closed_cleanly", output=self.key, exc_info=True)

    def _works(self, session: str) -> None:
        """Nothing of the session is held up."""
        self._failing.discard(session)
        if not self._failing:
            self._busy.over()

    async def _work(self, session: str) -> None:
        """Deliver in order until nothing of the session waits."""
        failures = 0
        try:
            while session in self._dirty:
                self._dirty.discard(session)
                await self._verdicts.write_confirmed()
                if not await self._services.gate.is_open(self.processor, session):
                    return
                owed = await DATABASE.run(self._services.store.next, self.key, session, _BATCH)
                if not owed:
                    self._works(session)
                    continue
                self._dirty.add(session)
                failure = await self._deliver_batch(owed)
                failures = failures + 1 if failure else 0
                if failure and not await self._pause(failures, failure):
                    return
        except StorageUnavailable as error:  # housekeeping wakes the session again
            log.debug("delivery_waits", output=self.key, session=session, reason=str(error))
        except Exception as error:  # noqa: BLE001 - the boundary: housekeeping wakes the session again
            self._stopped.met(repr(error), bug=error, session=session)
        else:
            self._stopped.over()
        finally:
            if self._tasks.get(session) is asyncio.current_task():
                del self._tasks[session]

    async def _deliver_batch(self, owed: list[PendingDelivery]) -> SinkBusy | None:
        """Deliver until one fails for now; that failure. What was confirmed is marked in one transaction."""
        try:
            for item in owed:
                if self._verdicts.is_refused(item):
                    await self._put_aside(item)
                    continue
                try:
                    async with self._slots:
                        await self._attempt(item)
                except SinkRejected as error:
                    self._note_refusal(item, str(error))
                    await self._put_aside(item)
                except SinkBusy as error:
                    await self._note_failure(item, error)
                    return error
                else:
                    self._verdicts.confirm(item)
                    self._note_success(item)
        finally:
            # Shielded: a cancelled task must not forget what the output has taken.
            await asyncio.shield(self._verdicts.write_confirmed())
        return None

    async def _attempt(self, item: PendingDelivery) -> None:
        """Raises SinkBusy or SinkRejected, nothing else."""
        delivery = await self._delivery(item)
        await self._services.gate.enter(self.processor, item.event.session)
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                await self.sink.deliver(delivery)
        except (SinkBusy, SinkRejected):
            raise
        except TimeoutError:
            raise SinkBusy(f"no answer within {ATTEMPT_TIMEOUT_S:.0f} s") from None
        except Exception as error:  # Boundary: a sink's bug must not end the delivery of everything else.
            log.exception("output_failed_unexpectedly", output=self.key, event_id=item.event.id)
            self._faults[item.seq] += 1
            if self._faults[item.seq] >= _FAULTS_BEFORE_DEAD:
                raise SinkRejected(f"unexpected {type(error).__name__}: {error}") from error
            raise SinkBusy(f"unexpected {type(error).__name__}: {error}") from error

    async def _delivery(self, item: PendingDelivery) -> Delivery:
        event, pictures, images = item.event, None, NOWHERE
        if event.has_pictures:
            wanted = isinstance(self.sink, ImageKeeper)
            kept, pictures = await pictures_for(item, self._services.spool, wanted)
            images = self._services.locate(self.processor, event) if kept else NOWHERE
        return Delivery(event, pictures, item.context, images, self._services.renderers)

    def _note_success(self, item: PendingDelivery) -> None:
        DELIVERIES.labels(self.key, "delivered").inc()
        DELIVERY_DELAY.labels(self.key).observe(max(0.0, time.time() - item.stored))
        self._faults.pop(item.seq, None)
        self._healthy.set()
        self._works(item.event.session)
        for listener in self._services.delivered_listeners:
            listener(item.event)
        self._services.gate.settled(self.key, item.event)

    async def _note_failure(self, item: PendingDelivery, failure: SinkBusy) -> None:
        DELIVERIES.labels(self.key, "busy").inc()
        self._failing.add(item.event.session)
        self._busy.met(failure, event_id=item.event.id)
        with suppress(StorageUnavailable):  # the count of attempts is for people; the wait before the next one is kept
            await DATABASE.run(self._services.store.failed, self.key, item.seq, str(failure))
        if isinstance(failure, SinkDenied):
            for listener in self._services.denied_listeners:
                listener(self.processor, failure)

    def _note_refusal(self, item: PendingDelivery, reason: str) -> None:
        DELIVERIES.labels(self.key, "dead").inc()
        log.error("output_refused", output=self.key, event_id=item.event.id, reason=reason)
        self._faults.pop(item.seq, None)
        self._verdicts.refuse(item, reason)

    async def _put_aside(self, item: PendingDelivery) -> None:
        """Raises StorageUnavailable."""
        await self._verdicts.put_aside(item)
        self._services.gate.settled(self.key, item.event)

    async def _pause(self, failures: int, failure: SinkBusy) -> bool:
        """Wait out the back-off, less where the output is seen to work again; False when it is time to end.

        Draining cuts the wait short for one last try.
        """
        if self._last_try.is_set():
            return False
        wait = RETRY.wait(failures, self._services.random)
        if failure.retry_after is not None:
            wait = min(MAX_RETRY_AFTER_S, max(wait, failure.retry_after))
            return not await _happens(self._last_try, wait)
        self._healthy.clear()
        if await _happens(self._healthy, wait) and not self._last_try.is_set():
            # All who waited would try at once, and one bad event beside good ones would spin.
            await asyncio.sleep(self._services.random.uniform(0.05, 0.2) * min(failures, 10))
        return True


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    """Wait for it, at most so long; whether it is so."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()

"""Keeps every processor as it is wanted: the one place where what configs, callers and ownership want meets what is."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from random import Random

import structlog
from pydantic import ValidationError

from streamproc import metrics
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InUse, NotFound, StorageUnavailable, StreamprocError
from streamproc.live.going_on import go_on, left_by, settle
from streamproc.live.processor import Processor
from streamproc.live.supervisor import Supervisor
from streamproc.logic.backoff import BackoffRule
from streamproc.logic.lifecycle import State
from streamproc.logic.reconcile import Action, Actual, Decision, Wanted, decide
from streamproc.store.processors import ProcessorRow
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)

AGAIN = BackoffRule(first_s=1.0, cap_s=60.0)
"""An action that failed is tried again after so long."""
FOR_STORAGE = BackoffRule(first_s=1.0, cap_s=5.0)

RetryAt = Callable[[Processor, float], float]
"""When a processor that has just failed may be started again, on the clock that gave the second argument; infinity: not unasked."""


def not_unasked(processor: Processor, now: float) -> float:
    return math.inf


class _Faults:
    """Actions in a row that raised, by processor."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._random = Random()

    def over(self, name: str) -> None:
        self._counts.pop(name, None)

    def wait(self, name: str, error: Exception) -> float:
        """Say that one more raised; seconds until the next try. Storage that is waited for is said once."""
        self._counts[name] = self._counts.get(name, 0) + 1
        for_storage = isinstance(error, StorageUnavailable)
        wait = (FOR_STORAGE if for_storage else AGAIN).wait(self._counts[name], self._random)
        if not for_storage or self._counts[name] == 1:
            unknown = None if isinstance(error, StreamprocError) else error
            log.error("reconcile_failed", processor=name, reason=str(error), retry_s=round(wait, 1), exc_info=unknown)
        return wait


class Reconciler:
    """One task a processor while there is something to do for it. All methods belong to the event loop.

    It is woken by every change of a document, a state or an owner, and by the clock where ``decide`` asks for that. What is wanted is
    in the store (``ProcessorRow.wanted``), so it outlives the process; files say so by ``declare`` and ``withdraw``, callers by
    the supervisor's ``start`` and ``stop``.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        retry_at: RetryAt = not_unasked,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.supervisor = supervisor
        self._retry_at = retry_at
        self._clock = clock
        self._withdrawn: set[str] = set()
        """Files that are gone, until their processors are."""
        self._failed: dict[str, float] = {}
        """When each processor that failed may be started again."""
        self._faults = _Faults()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._woken: set[str] = set()
        """Names to be looked at again by the task that is looking at them."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    async def open(self) -> None:
        """Processors that callers made come back, and run where they were."""
        self.supervisor.notices.states.append(self._changed)
        self.supervisor.ownership.subscribe(self.wake)
        for row in self.supervisor.store.all():
            if row.origin == "api":
                await self._load(row)

    async def close(self) -> None:
        """Nothing is begun any more; what is being done is done to its end."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        await self.settled()

    async def settled(self) -> None:
        """Until there is nothing to do at the moment."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    # -- what config files want

    async def declare(self, name: str, config: ProcessorConfig) -> None:
        """A file wants this processor. Raises InputError where its document cannot be used, and InUse where the name is a caller's."""
        supervisor = self.supervisor
        self._withdrawn.discard(name)
        if supervisor.known(name) and name not in supervisor.names("file"):
            raise InUse(f"a processor {name} was made by the control API; rename the file, or delete that one first")
        try:
            await supervisor.update(name, config, "file")
        except NotFound:
            await supervisor.create(name, config, "file")
        supervisor.refuse(name, None)
        if name in self._failed:
            self._failed[name] = -math.inf  # whatever it failed on may have been put right
        self.wake(name)

    def known(self, name: str) -> bool:
        """Whether there is a good version of the processor."""
        return self.supervisor.known(name)

    def refuse(self, name: str, words: str) -> None:
        """A file is wrong: the last good version goes on, where there is one."""
        self.supervisor.refuse(name, words)
        self._withdrawn.discard(name)

    def withdraw_all_but(self, names: set[str]) -> None:
        """These are all the files there are: processors of others are ended and deleted."""
        for name in self.supervisor.refused():
            if name not in names:
                self.supervisor.refuse(name, None)
        for name in self.supervisor.names("file"):
            if name not in names and name not in self._withdrawn:
                self._withdrawn.add(name)
                self.wake(name)

    async def withdraw_forgotten(self) -> None:
        """Processors of files that were removed while no process looked. Call after every file has been declared or refused."""
        known = {*self.supervisor.names(), *self.supervisor.refused()}
        for row in self.supervisor.store.all():
            if row.origin == "file" and row.name not in known:
                self._withdrawn.add(row.name)
                if not await self._load(row):
                    self._withdrawn.discard(row.name)
                    self.supervisor.store.delete(row.name)
                    self.supervisor.journal.forget(row.name)

    # -- reconciling

    def wake(self, name: str) -> None:
        """Look at a processor, now or as soon as what is being done for it is done."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if self._closed or not self.supervisor.known(name):
            return
        if name in self._tasks:
            self._woken.add(name)
            return
        task = asyncio.create_task(self._converge(name), name=f"reconcile {name}")
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._done(name))

    def _done(self, name: str) -> None:
        del self._tasks[name]
        if name in self._woken:
            self._woken.discard(name)
            self.wake(name)

    def _changed(self, name: str) -> None:
        """The state of a processor changed, or it is gone."""
        if not self.supervisor.known(name):
            self._failed.pop(name, None)
            self._faults.over(name)
            self._withdrawn.discard(name)
            return
        processor = self.supervisor.processor(name)
        if processor.life.state is not State.FAILED:
            self._failed.pop(name, None)
        elif name not in self._failed:
            edited = processor.row.origin == "file" and processor.tried != processor.row.document_hash
            self._failed[name] = -math.inf if edited else self._retry_at(processor, self._clock())
        self.wake(name)

    async def _converge(self, name: str) -> None:
        """Act until nothing is left to do."""
        while not self._closed and self.supervisor.known(name):
            processor = self.supervisor.processor(name)
            try:
                async with processor.lock:
                    decision = await self._decide(processor)
                    await self._act(processor, decision.action)
                self._faults.over(name)
            except Exception as error:  # noqa: BLE001 - the boundary: what should run is never given up; it logs
                self._look_again(name, self._clock() + self._faults.wait(name, error))
                return
            if decision.action is Action.NOTHING:
                self._look_again(name, decision.again_at)
                return
            log.debug("reconciled", processor=name, action=decision.action.value)

    async def _decide(self, processor: Processor) -> Decision:
        name, row, state = processor.name, processor.row, processor.life.state
        wanted = Wanted(
            exists=name not in self._withdrawn,
            running=row.wanted == "running",
            here=self.supervisor.ownership.elsewhere(name) is None,
            document=row.document_hash,
            edit_reruns=row.origin == "file",
        )
        if processor.record.unsaved:
            processor.record.save()
        rests = not processor.life.active
        if rests:
            processor.require_storage()
        left_over = rests and bool(await CONTROL.run(left_by, processor))
        return decide(wanted, Actual(state, row.finished, left_over, self._failed.get(name, math.inf)), self._clock())

    async def _act(self, processor: Processor, action: Action) -> None:
        match action:
            case Action.START:
                if processor.life.state is State.FAILED:
                    metrics.RESTARTS.labels(processor.name).inc()
                await go_on(processor)
            case Action.STOP:
                await processor.stop("stop")
            case Action.HAND_OVER:
                await processor.stop("hand_over")
            case Action.SETTLE:
                await settle(processor)
            case Action.DELETE:
                await self.supervisor.remove(processor)
            case Action.NOTHING:
                pass

    def _look_again(self, name: str, at: float | None) -> None:
        if at is not None and not self._closed:
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(max(0.0, at - self._clock()), self.wake, name)

    async def _load(self, row: ProcessorRow) -> bool:
        """Whether the stored processor could be made."""
        try:
            await self.supervisor.load(row, ProcessorConfig.model_validate(row.document))
        except (ValidationError, StreamprocError) as error:
            log.error("processor_unreadable", processor=row.name, reason=str(error))
            return False
        return True

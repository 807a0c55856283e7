"""Scheduler of lanes: a fixed set of worker threads that always serve the most urgent lane, one step at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from streamproc.logic.fair_share import FairShare
from streamproc.pipeline.cores import whole_cores

log = structlog.get_logger(__name__)
SPARE = 1
"""Workers beyond the cores. One that waits for the engine, a disk or the interpreter's lock leaves a core free, and its camera's frames are dropped
beside it: on two cores with other work a third worker made a third more looks in a burst, and latencies of a busy node (p95) a third as long. A fourth brought
nothing more."""


class Task(Protocol):
    """Work that comes in steps, and says how urgent the next is: a lane."""

    def urgency(self) -> float | None:
        """The deadline (monotonic seconds) of the most urgent thing that is waiting; None: nothing is. Cheap."""
        ...

    def step(self) -> None:
        """Do a bounded piece of work. Never called by two workers at a time."""
        ...

    def fail(self, error: BaseException) -> None:
        """``step`` raised: the task is over."""
        ...


class _Help:
    """Part of a running step, for a worker that no task needs."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.step = work

    def urgency(self) -> float | None:
        return None

    def fail(self, error: BaseException) -> None:
        """Said by the worker; whoever asked for help goes on alone."""


class Scheduler:
    """``workers`` threads, earliest deadline first, run to completion.

    Tasks cut their own work into slices (the analysis of a frame, or a few packets), so nothing urgent waits longer than one slice. A task
    that has just had a worker claims the next turn only after the others could have had as much (``logic.fair_share``), by at most half
    a second: when there is too much to do no task waits longer than one round of all and that.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or whole_cores() + SPARE
        self._ready = threading.Condition()
        self._tasks: list[Task] = []
        self._busy: set[int] = set()
        self._turns = FairShare(self.workers)
        self._waiting = 0
        self._help: deque[_Help] = deque()
        self._overdue = 0
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{index}", daemon=True) for index in range(self.workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def add(self, task: Task) -> None:
        with self._ready:
            self._tasks.append(task)
            self._ready.notify()

    def remove(self, task: Task) -> None:
        """Not served any more; a step that is running goes to its end."""
        with self._ready:
            if task in self._tasks:
                self._tasks.remove(task)
                self._turns.forget(id(task))

    def crowded(self) -> bool:
        """When a worker last chose, more tasks than workers had waited beyond their deadlines: there is no time for what is old."""
        return self._overdue > self.workers

    def help_with(self, work: Callable[[], None]) -> bool:
        """Have a worker that is idle call ``work`` beside the step that asks; False: none is. A task that becomes urgent meanwhile goes first, so
        nobody may rely on it."""
        with self._ready:
            if self._stopped or len(self._help) >= self._waiting:
                return False
            self._help.append(_Help(work))
            self._ready.notify()
            return True

    def wake(self) -> None:
        """A task may have become urgent. Called by source threads for every item, so it costs next to nothing when all are busy."""
        if self._waiting:
            with self._ready:
                self._ready.notify()

    def stop(self, timeout: float = 5.0) -> None:
        """Let running steps end; nothing new begins."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout)

    def _work(self) -> None:
        while True:
            task = self._next()
            if task is None:
                return
            began = time.monotonic()
            try:
                task.step()
            except Exception as error:  # a broken lane ends alone; the workers serve the others
                log.error("lane_failed", error=str(error) or type(error).__name__, exc_info=True)
                self.remove(task)
                task.fail(error)
            finally:
                ended = time.monotonic()
                with self._ready:
                    self._busy.discard(id(task))
                    if task in self._tasks:
                        self._turns.charge(id(task), ended, ended - began)

    def _next(self) -> Task | None:
        """The idle task with the earliest deadline; waits for one."""
        with self._ready:
            while not self._stopped:
                self._waiting += 1  # before looking, so that an item put meanwhile finds somebody to wake
                task = self._most_urgent() or (self._help.popleft() if self._help else None)
                if task is None:
                    self._ready.wait(0.5)
                self._waiting -= 1
                if task is not None:
                    self._busy.add(id(task))
                    if self._waiting and len(self._tasks) > 1:
                        self._ready.notify()
                    return task
            return None

    def _most_urgent(self) -> Task | None:
        best: Task | None = None
        earliest = float("inf")
        now, overdue = time.monotonic(), 0
        for task in self._tasks:
            if id(task) in self._busy:
                continue
            urgency = task.urgency()
            if urgency is None:
                continue
            overdue += urgency < now
            deadline = self._turns.place(id(task), urgency)
            if deadline < earliest:
                best, earliest = task, deadline
        self._overdue = overdue
        return best

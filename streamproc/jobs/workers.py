"""The threads that run stored-video jobs, and what ends none of them: a full disk, a run that breaks, a job that kills its process."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from random import Random

import structlog

from streamproc.core.errors import OwnershipLost, StorageUnavailable
from streamproc.jobs.job_run import Interrupted
from streamproc.jobs.model import JobState
from streamproc.logic.backoff import BackoffRule
from streamproc.store.faults import passing_fault
from streamproc.store.jobs import JobRow, JobStore

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 3
"""Runs that were begun and cut off without getting further: then the job is taken to be what ends them."""
GIVEN_UP = "Processing was cut off three times without getting further."
RETRY = BackoffRule(first_s=1.0, cap_s=30.0)
LOOK_EVERY_S = 30.0


class JobWorkers:
    """``run`` works off the jobs of one run, in a worker's thread; ``after`` is called behind each, ``tidy`` now and then."""

    def __init__(
        self,
        store: JobStore,
        owner: str,
        run: Callable[[Sequence[JobRow]], None],
        after: Callable[[], None],
        tidy: Callable[[], None],
    ) -> None:
        self._store = store
        self._owner = owner
        self._run = run
        self._after = after
        self._tidy = tidy
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._pending: list[list[JobRow]] = []
        """Runs that were cut off: of an earlier process, or by the storage."""
        self._resumed = True
        self._at_work = 0
        self._news = False
        """Somebody has waked since the last look."""
        self.closing = False

    @property
    def busy(self) -> bool:
        return self._at_work > 0

    def open(self, number: int) -> None:
        """Start the threads: first the runs that were cut off, then what waits."""
        self.closing, self._resumed = False, False
        for index in range(max(1, number)):
            thread = threading.Thread(target=self._work, name=f"jobs-{index}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        with self._wake:
            self._news = True
            self._wake.notify()

    def close(self, timeout_s: float) -> None:
        with self._wake:
            self.closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)
            if thread.is_alive():
                log.error("left_behind", thread=thread.name, what="a job does not come to its next checkpoint")
        self._threads.clear()

    # -- in a worker's thread

    def _work(self) -> None:
        faults, random = 0, Random()
        while not self.closing:
            try:
                jobs = self._next()
                if jobs:
                    self._run_one(jobs)
                else:
                    self._tidy()
                self._after()
                faults = 0
            except Interrupted:
                return
            except OwnershipLost as error:
                log.info("job_elsewhere", reason=str(error))
            except Exception as error:  # the boundary of a worker: it never ends for good
                faults += 1
                reason = passing_fault(error)
                if faults == 1 or reason is None:
                    log.error("jobs_wait", reason=reason or repr(error), exc_info=None if reason else error)
                with self._wake:
                    self._wake.wait_for(lambda: self.closing, RETRY.wait(faults, random))

    def _next(self) -> list[JobRow]:
        """Waits for work; empty when it is time to tidy up, or to end."""
        with self._wake:
            if not self._resumed:
                self._pending += self._store.resume(self._owner)
                self._resumed = True
            if self._pending:
                return self._pending.pop(0)
            self._news = False
        claimed = self._store.claim(
            self._owner, secrets.token_hex(8)
        )  # may take a while: who wakes must not wait for it
        with self._wake:
            if not claimed and not self.closing and not self._news:
                self._wake.wait(LOOK_EVERY_S)
        return claimed

    def _run_one(self, jobs: list[JobRow]) -> None:
        names = [job.id for job in jobs]
        try:
            attempts = self._store.attempt(names)
            if attempts > MAX_ATTEMPTS:
                log.error("job_given_up", jobs=names, attempts=MAX_ATTEMPTS)
                for name in names:
                    self._store.end(name, JobState.FAILED, message=GIVEN_UP)
                self._store.let_go(jobs[0].run)
                return
        except Exception:
            self._put_back(jobs)
            raise
        with self._wake:
            self._at_work += 1
        try:
            self._run(jobs)
        except Interrupted:
            self._store.no_attempt(names)  # this process ends in order, or another goes on
            if self.closing:
                raise
        except OwnershipLost:
            raise
        except Exception as error:
            self._put_back(jobs)
            if passing_fault(error) is not None:
                self._forgive(names)
            raise
        finally:
            with self._wake:
                self._at_work -= 1
            self._store.let_go(jobs[0].run)

    def _put_back(self, jobs: list[JobRow]) -> None:
        if self._store.let_go(jobs[0].run):
            return  # it is given out again
        with self._wake:
            self._pending.append(jobs)

    def _forgive(self, names: list[str]) -> None:
        """Take a failure off the job: it was the storage."""
        try:
            self._store.no_attempt(names)
        except StorageUnavailable:
            log.info("attempt_counted", jobs=names)

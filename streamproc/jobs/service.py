"""Stored-video jobs as everybody calls them: start, get, list, cancel; and the workers that run them."""

from __future__ import annotations

import json
import secrets
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import structlog

from streamproc.core.errors import (
    InputError,
    InUse,
    LimitExceeded,
    NotFound,
    StorageUnavailable,
    StreamprocError,
    TokenMismatch,
)
from streamproc.jobs.answers import SORTS, Aggregate, Item, Sort, items_of
from streamproc.jobs.attended import Attendant, Reading, Stuck
from streamproc.jobs.job_run import Advance, MakeAnalysis, Run, RunPolicy
from streamproc.jobs.model import Job, JobKind, JobRequest, JobState, VideoRef, facts_from, request_from
from streamproc.jobs.sources import Videos, folder_of
from streamproc.jobs.video import StoredVideo
from streamproc.jobs.workers import JobWorkers
from streamproc.logic.pages import PageTokens
from streamproc.store.database import Database
from streamproc.store.jobs import JobRow, JobStore
from streamproc.store.tokens import page_secret

log = structlog.get_logger(__name__)

KEPT_S = 7 * 24 * 3600.0
"""How long results and tokens are kept."""
MAX_RESULTS = 1000
BOX = "box"
_HELD_RESULTS = 4


class VideoTooLarge(InputError):
    """More bytes, or longer, than the node takes."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Caps of the service; see ``config.box.Limits``."""

    max_open: int = 20
    queue: bool = False
    """Take more jobs than ``max_open`` and let them wait."""
    max_bytes: int = 10 * 1024**3
    max_seconds: float = 6 * 3600.0
    workers: int = 1
    """Runs at the same time. One run already uses two threads to decode, so more pay only on bigger machines."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a result, in which order."""

    limit: int = MAX_RESULTS
    token: str | None = None
    sort: Sort = Sort.TIMESTAMP
    aggregate: Aggregate = Aggregate.TIMESTAMPS


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job and a part of what it found."""

    job: Job
    items: Sequence[Item]
    next_token: str | None
    page: PageRequest


OnCompleted = Callable[[Job], None]
"""Hands a completion on; durable when it returns. May be called again with the same job after a crash."""


class JobService:
    """The jobs of one data directory. Thread-safe. Every method may block on the disk or (``start``) on the video's store."""

    def __init__(
        self,
        database: Database,
        videos: Videos,
        make: MakeAnalysis,
        *,
        limits: JobLimits | None = None,
        on_completed: OnCompleted = lambda job: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = JobStore(database)
        self._videos = videos
        self._make = make
        self._limits = limits or JobLimits()
        self._on_completed = on_completed
        self._clock = clock
        self._tokens = PageTokens(page_secret(database))
        self._attendant = Attendant()
        self._workers = JobWorkers(self.store, BOX, self._work, self.tell_ended, self.forget_old)
        self._results: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._orders: OrderedDict[tuple[str, Sort, Aggregate], Sequence[Item]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a worker is at a video, which takes whatever CPU is left."""
        return self._workers.busy

    def start(self, request: JobRequest, *, owner: str = BOX, run: str | None = None, size: int | None = None) -> Job:
        """A new job, or the one that this token made before. ``size``: of its video in bytes, where the caller has looked.

        Raises InvalidObject where the video cannot be had, VideoTooLarge, LimitExceeded, TokenMismatch.
        """
        if request.token:
            known = self._known(request, owner)  # before the video is asked for, which may be gone by now
            if known is not None:
                return known
        size = size if size is not None else self.size(request.video)
        if size > self._limits.max_bytes:
            raise VideoTooLarge(
                f"Video size in bytes: {size} is more than the maximum limit of: {self._limits.max_bytes} bytes."
            )
        now = self._clock()
        row = JobRow(
            id=secrets.token_hex(32),
            kind=str(request.kind),
            owner=owner,
            request=asdict(request),
            fingerprint=request.fingerprint(),
            token=request.token,
            state=JobState.RUNNING if run else JobState.QUEUED,
            created=now,
            run=run or "",
        )
        most = None if self._limits.queue or owner != BOX else self._limits.max_open
        made = self.store.start(row, since=now - KEPT_S, most=most)
        if isinstance(made, int):
            raise LimitExceeded(f"{made}  open Jobs, maximum limit: {self._limits.max_open}", used=made)
        job = self._same(made, request)
        self._workers.wake()
        return job

    def size(self, video: VideoRef) -> int:
        """In bytes. Blocks on the video's store. Raises InvalidObject where it cannot be had."""
        return self._videos.facts(video).size

    def version(self, video: VideoRef) -> str:
        """Changes when the video's bytes change. Raises InvalidObject where it cannot be had."""
        return self._videos.facts(video).version

    def open_video(self, video: VideoRef) -> StoredVideo:
        """Raises MediaError, InvalidObject."""
        return self._videos.open(video)

    def _known(self, request: JobRequest, owner: str) -> Job | None:
        row = self.store.by_token(request.kind, request.token or "", owner, since=self._clock() - KEPT_S)
        return self._same(row, request) if row is not None else None

    @staticmethod
    def _same(row: JobRow, request: JobRequest) -> Job:
        if row.fingerprint != request.fingerprint():
            raise TokenMismatch(f"The ClientRequestToken: {request.token} you have supplied is already in use.")
        return _job(row)

    def get(self, job_id: str, kind: JobKind | None = None, page: PageRequest = PageRequest()) -> JobPage:
        """A page of a job's result; no items unless it succeeded. Raises NotFound (also for another kind), BadPageToken, InputError."""
        job = self.show(job_id)
        if kind is not None and job.request.kind is not kind:
            raise NotFound("Could not find JobId")
        if page.sort not in SORTS[job.request.kind]:
            raise InputError(f"a {job.request.kind} job cannot be sorted by {page.sort}")
        if page.limit < 1:
            raise InputError("MaxResults must be 1 or more")
        question = f"{job_id} {page.sort} {page.aggregate}"
        # An empty token is what the service's own samples send first.
        start = int(self._tokens.open(question, page.token, self._clock())) if page.token else 0
        if job.state is not JobState.SUCCEEDED:
            return JobPage(job, [], None, page)
        items = self._ordered(job, page.sort, page.aggregate)
        end = start + min(page.limit, MAX_RESULTS)
        following = self._tokens.seal(question, str(end), self._clock()) if end < len(items) else None
        return JobPage(job, items[start:end], following, page)

    def _ordered(self, job: Job, sort: Sort, aggregate: Aggregate) -> Sequence[Item]:
        """Everything in the asked order; the last few are kept, because they are fetched page by page."""
        key = (job.id, sort, aggregate)
        with self._lock:
            if key in self._orders:
                self._orders.move_to_end(key)
                return self._orders[key]
        items = items_of(job.request.kind, self.result(job.id), sort, aggregate)
        with self._lock:
            self._orders[key] = items
            while len(self._orders) > _HELD_RESULTS:
                self._orders.popitem(last=False)
        return items

    def result(self, job_id: str) -> Mapping[str, Any]:
        """The whole result as it is kept. Raises NotFound, InUse while there is none."""
        with self._lock:
            if job_id in self._results:
                self._results.move_to_end(job_id)
                return self._results[job_id]
        packed = self.store.result(job_id)
        if packed is None:
            raise InUse(f"job {job_id} is {self.show(job_id).state}: it has no result")
        result: Mapping[str, Any] = json.loads(zlib.decompress(packed))
        with self._lock:
            self._results[job_id] = result
            while len(self._results) > _HELD_RESULTS:
                self._results.popitem(last=False)
        return result

    def show(self, job_id: str) -> Job:
        """Raises NotFound, also for a job whose seven days are over."""
        try:
            row = self.store.get(job_id)
        except NotFound:
            raise NotFound("Could not find JobId") from None
        if row.ended is not None and row.ended < self._clock() - KEPT_S:
            raise NotFound("Could not find JobId")
        return _job(row)

    def jobs(self) -> list[Job]:
        """Newest first."""
        return [_job(row) for row in self.store.all()]

    def cancel(self, job_id: str) -> Job:
        """End an open job; its run goes on for the others. Raises NotFound, InUse where it is over."""
        job = self.show(job_id)
        if not self.store.end(job_id, JobState.CANCELLED, message="cancelled"):
            raise InUse(f"job {job_id} is over: {job.state}")
        return self.show(job_id)

    def open_workers(self) -> None:
        """Start the worker threads: first the runs that were cut off, then what waits."""
        self._workers.open(self._limits.workers)

    def close(self, timeout_s: float = 10.0) -> None:
        """Stop the workers at their next checkpoint; what they were at goes on with the next ``open_workers``."""
        self._workers.close(timeout_s)

    def run(self, jobs: Sequence[Job], *, stop: Callable[[], bool], tell: Callable[[Advance], None]) -> None:
        """Run jobs that belong to one run, in this thread. Raises Interrupted when ``stop`` says so."""
        policy = RunPolicy(max_seconds=self._limits.max_seconds)
        Run(jobs[0].run, jobs, self.store, self._videos.open, self._make, policy, stop, tell).work()

    def _work(self, rows: Sequence[JobRow]) -> None:
        """In a worker's thread."""
        jobs, policy = [_job(row) for row in rows], RunPolicy(max_seconds=self._limits.max_seconds)

        def work(reading: Reading, stop: Callable[[], bool]) -> None:
            opened = partial(self._videos.open, reading=reading)
            Run(jobs[0].run, jobs, self.store, opened, self._make, policy, stop).work()

        try:
            self._attendant.run(work, folder_of(jobs[0].request.video), lambda: self._workers.closing)
        except Stuck as stuck:
            for job in jobs:
                self.store.end(job.id, JobState.FAILED, message=str(stuck))

    def forget_old(self) -> None:
        """Drop what is older than seven days."""
        self.store.forget(self._clock() - KEPT_S)

    def tell_ended(self) -> None:
        """Hand on completions that were not yet, then mark them."""
        for row in self.store.untold(BOX):
            try:
                if row.state != JobState.CANCELLED and row.request.get("channel"):
                    self._on_completed(_job(row))
            except StorageUnavailable:
                raise  # it is told when the storage takes it
            except StreamprocError as error:
                log.error("job_completion_not_told", job=row.id, reason=str(error))
            self.store.told(row.id)


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        request=request_from(row.request),
        state=JobState(row.state),
        created=row.created,
        ended=row.ended,
        message=row.message,
        run=row.run,
        frames=row.frames,
        expected=row.expected,
        facts=facts_from(row.facts) if row.facts else None,
        bad_video=row.bad_video,
    )

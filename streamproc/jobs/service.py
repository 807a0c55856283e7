"""Stored-video jobs as everybody calls them: start, get, list, cancel; and the workers that run them."""

from __future__ import annotations

import secrets
import time
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
from streamproc.jobs.answers import SORTS, Aggregate, Item, Sort
from streamproc.jobs.attended import Attendant, Reading, Stuck
from streamproc.jobs.job_run import Advance, MakeAnalysis, Run, RunPolicy
from streamproc.jobs.model import Job, JobKind, JobRequest, JobState, VideoRef, facts_from, request_from
from streamproc.jobs.results import Results
from streamproc.jobs.sources import Videos, folder_of, is_remote
from streamproc.jobs.video import StoredVideo
from streamproc.jobs.workers import JobWorkers
from streamproc.logic.pages import PageTokens
from streamproc.store.database import Database
from streamproc.store.jobs import JobRow, JobStore

log = structlog.get_logger(__name__)

KEPT_S = 7 * 24 * 3600.0
"""How long results and tokens are kept."""
MAX_RESULTS = 1000
BOX = "box"


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
        store: JobStore | None = None,
    ) -> None:
        """``store``: another than that of the data directory alone."""
        self.store = store or JobStore(database)
        self._videos = videos
        self._make = make
        self._limits = limits or JobLimits()
        self._on_completed = on_completed
        self._clock = clock
        self._attendant = Attendant()
        self._workers = JobWorkers(self.store, BOX, self._work, self.tell_ended, self.forget_old)
        self._results = Results(self.store)

    @property
    def busy(self) -> bool:
        """Whether a worker is at a video, which takes whatever CPU is left."""
        return self._workers.busy

    def start(self, request: JobRequest, *, owner: str = BOX, run: str | None = None, size: int | None = None) -> Job:
        """A new job, or the one that this token made before. ``size``: of its video in bytes, where the caller has looked.

        Raises InvalidObject where the video cannot be had, VideoTooLarge, LimitExceeded, TokenMismatch.
        """
        known = self.known(request, owner)  # before the video is asked for, which may be gone by now
        return known or self.start_together([request], owner=owner, run=run, size=size)[0]

    def start_together(
        self, requests: Sequence[JobRequest], *, owner: str = BOX, run: str | None = None, size: int | None = None
    ) -> list[Job]:
        """``start`` for several jobs of one video, all or none, which share its decode."""
        size = size if size is not None else self.size(requests[0].video)
        if size > self._limits.max_bytes:
            raise VideoTooLarge(
                f"Video size in bytes: {size} is more than the maximum limit of: {self._limits.max_bytes} bytes."
            )
        now = self._clock()
        rows = [
            JobRow(
                id=secrets.token_hex(32),
                kind=str(request.kind),
                owner=owner,
                request=asdict(request),
                fingerprint=request.fingerprint(),
                token=request.token,
                state=JobState.RUNNING if run else JobState.QUEUED,
                created=now,
                run=run or "",
                node="" if is_remote(request.video.url) else self.store.node_id,
            )
            for request in requests
        ]
        most = None if self._limits.queue or owner != BOX else self._limits.max_open
        made = self.store.start_all(rows, since=now - KEPT_S, most=most)
        if isinstance(made, int):
            raise LimitExceeded(f"{made}  open Jobs, maximum limit: {self._limits.max_open}", used=made)
        jobs = [self._same(each, request) for each, request in zip(made, requests, strict=True)]
        self._workers.wake()
        return jobs

    def wake(self) -> None:
        """There may be something to do."""
        self._workers.wake()

    def size(self, video: VideoRef) -> int:
        """In bytes. Blocks on the video's store. Raises InvalidObject where it cannot be had."""
        return self._videos.facts(video).size

    def version(self, video: VideoRef) -> str:
        """Changes when the video's bytes change. Raises InvalidObject where it cannot be had."""
        return self._videos.facts(video).version

    def open_video(self, video: VideoRef) -> StoredVideo:
        """Raises MediaError, InvalidObject."""
        return self._videos.open(video)

    def known(self, request: JobRequest, owner: str = BOX) -> Job | None:
        """The job that the request's token made before. Raises TokenMismatch where that was another request."""
        if not request.token:
            return None
        row = self.store.by_token(request.kind, request.token, owner, since=self._clock() - KEPT_S)
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
        tokens = PageTokens(self.store.page_secret(job_id))
        start = int(tokens.open(question, page.token, self._clock())) if page.token else 0
        if job.state is not JobState.SUCCEEDED:
            return JobPage(job, [], None, page)
        items = self._results.ordered(job, self.result(job_id), page.sort, page.aggregate)
        end = start + min(page.limit, MAX_RESULTS)
        following = tokens.seal(question, str(end), self._clock()) if end < len(items) else None
        return JobPage(job, items[start:end], following, page)

    def result(self, job_id: str) -> Mapping[str, Any]:
        """The whole result as it is kept. Raises NotFound, InUse while there is none."""
        found = self._results.whole(job_id)
        if found is None:
            raise InUse(f"job {job_id} is {self.show(job_id).state}: it has no result")
        return found

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
        if not self.store.cancel(job_id):
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

        def leaving() -> bool:
            return self._workers.closing or self.store.is_lost(jobs[0].run)

        try:
            self._attendant.run(work, folder_of(jobs[0].request.video), leaving)
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
        node=row.node,
    )

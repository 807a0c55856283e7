"""The workers of stored video on a sick disk, and a job that ends its process each time."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from streamproc.jobs import workers
from streamproc.jobs.model import JobKind, JobRequest, JobState, VideoRef
from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.service import JobService
from streamproc.jobs.sources import Videos
from streamproc.jobs.workers import GIVEN_UP, MAX_ATTEMPTS
from streamproc.logic.backoff import BackoffRule
from streamproc.store import database as database_module
from streamproc.store.database import Database
from tests.daemon import wait_for

DEADLY = """
import os, signal, sys, time
from pathlib import Path
from streamproc.jobs.model import JobKind, JobRequest, VideoRef
from streamproc.jobs.service import JobService
from streamproc.jobs.sources import Videos
from streamproc.store.database import Database

def make(kind, options, video):
    os.kill(os.getpid(), signal.SIGKILL)

service = JobService(Database(Path(sys.argv[1])), Videos(), make)
if not service.jobs():
    service.start(JobRequest(JobKind("segments"), VideoRef(sys.argv[2])))
service.open_workers()
deadline = time.monotonic() + 20
while time.monotonic() < deadline and service.jobs()[0].state in ("queued", "running"):
    time.sleep(0.02)
"""


def segments(kind: JobKind, options: Mapping[str, Any], video: Any) -> SegmentAnalysis:
    return SegmentAnalysis(SegmentOptions(), video)


def test_a_job_that_kills_its_process_is_tried_three_times(tmp_path: Path, scene: Path) -> None:
    command = [sys.executable, "-c", DEADLY, str(tmp_path), str(scene)]
    ends = [subprocess.run(command, timeout=60, check=False).returncode for _ in range(MAX_ATTEMPTS + 1)]
    assert ends == [-signal.SIGKILL] * MAX_ATTEMPTS + [0]
    (job,) = JobService(Database(tmp_path), Videos(), segments).jobs()
    assert (job.state, job.message) == (JobState.FAILED, GIVEN_UP)


def test_an_orderly_end_is_no_attempt(tmp_path: Path, scene: Path) -> None:
    service = JobService(Database(tmp_path), Videos(), segments)
    job = service.start(JobRequest(JobKind("segments"), VideoRef(str(scene))))
    for _ in range(MAX_ATTEMPTS + 2):
        service.open_workers()
        wait_for(lambda: service.show(job.id).state != JobState.QUEUED, 30, "the claim")
        service.close(30)
    service.open_workers()
    wait_for(lambda: service.show(job.id).state == JobState.SUCCEEDED, 60, "the result")
    service.close(30)


@pytest.mark.logs_errors("jobs_wait")
def test_the_workers_outlive_a_locked_database(tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "RETRY", BackoffRule(first_s=0.1, cap_s=0.2))
    monkeypatch.setattr(workers, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(database_module.Database.write.__wrapped__, "__defaults__", (0.1,))
    service = JobService(Database(tmp_path), Videos(), segments)
    service.open_workers()
    first = service.start(JobRequest(JobKind("segments"), VideoRef(str(scene))))
    wait_for(lambda: service.show(first.id).state == JobState.RUNNING, 30, "the first job")
    backup = sqlite3.connect(tmp_path / "streamproc.db", isolation_level=None, timeout=30)
    backup.execute("BEGIN IMMEDIATE")
    time.sleep(3)
    backup.execute("ROLLBACK")
    backup.close()
    second = service.start(JobRequest(JobKind("segments"), VideoRef(str(scene))))
    for job in (first, second):
        wait_for(lambda job=job: service.show(job.id).state == JobState.SUCCEEDED, 60, "the result")  # type: ignore[misc]
    service.close(30)

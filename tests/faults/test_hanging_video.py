"""Stored videos on a dead network share: their jobs fail with words, the worker goes on, and nobody else waits."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.jobs import attended
from streamproc.jobs.attended import STUCK
from streamproc.jobs.model import JobKind, JobRequest, JobState, VideoRef
from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.service import JobService
from streamproc.jobs.sources import Videos
from streamproc.store.database import Database
from tests.conftest import skip
from tests.daemon import Daemon, wait_for
from tests.servers.common import Unavailable
from tests.servers.frozen import FrozenShare

Freeze = Callable[[Path], FrozenShare]


@pytest.fixture
def freeze() -> Iterator[Freeze]:
    """``freeze(FOLDER)``: nobody answers for what is in it any more."""
    frozen: list[FrozenShare] = []

    def make(folder: Path) -> FrozenShare:
        try:
            frozen.append(FrozenShare(folder))
        except Unavailable as error:
            skip(str(error))
        return frozen[-1]

    yield make
    for share in frozen:
        share.thaw()


@pytest.fixture
def videos(tmp_path: Path, scene: Path) -> dict[str, Path]:
    made = {name: tmp_path / name / "video.mp4" for name in ("dead", "well")}
    for path in made.values():
        path.parent.mkdir()
        shutil.copy(scene, path)
    return made


def service_of(tmp_path: Path) -> JobService:
    return JobService(
        Database(tmp_path), Videos(), lambda kind, options, video: SegmentAnalysis(SegmentOptions(), video)
    )


def request_for(path: Path) -> JobRequest:
    return JobRequest(JobKind("segments"), VideoRef(str(path)))


@pytest.mark.logs_errors("left_behind")
def test_the_worker_goes_on_with_other_jobs(
    tmp_path: Path, videos: dict[str, Path], freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attended, "STUCK_S", 1.0)
    service = service_of(tmp_path)
    others = [shutil.copy(videos["dead"], videos["dead"].with_name(f"{number}.mp4")) for number in range(4)]
    stuck = [service.start(request_for(path)) for path in others]
    well = service.start(request_for(videos["well"]))
    share = freeze(videos["dead"].parent)
    service.open_workers()
    wait_for(lambda: service.show(well.id).state == JobState.SUCCEEDED, 60, "the job behind them")
    assert {(service.show(job.id).state, service.show(job.id).message) for job in stuck} == {(JobState.FAILED, STUCK)}
    waiting = [thread for thread in threading.enumerate() if thread.name == "job"]
    assert len(waiting) == attended.MOST_STUCK, "no more are left in one folder"
    share.thaw()
    wait_for(lambda: not any(thread.is_alive() for thread in waiting), 20, "the end of what was left")
    assert service.show(stuck[0].id).state == JobState.FAILED
    service.close(10)


@pytest.mark.logs_errors("left_behind")
def test_the_end_of_the_process_does_not_wait_and_the_job_goes_on_later(
    tmp_path: Path, videos: dict[str, Path], freeze: Freeze
) -> None:
    service = service_of(tmp_path)
    job = service.start(request_for(videos["dead"]))
    share = freeze(videos["dead"].parent)
    service.open_workers()
    wait_for(lambda: service.show(job.id).state == JobState.RUNNING, 30, "the claim")
    began = time.monotonic()
    service.close(30)
    assert time.monotonic() - began < 10
    share.thaw()
    service.open_workers()
    wait_for(lambda: service.show(job.id).state == JobState.SUCCEEDED, 60, "the result")
    service.close(10)


def test_who_asks_for_such_a_job_is_answered_and_everybody_else_is(
    daemon: Daemon, videos: dict[str, Path], freeze: Freeze
) -> None:
    daemon.start()
    freeze(videos["dead"].parent)
    status, answer = start_job(daemon, videos["dead"])
    assert (status, answer["error"]["message"]) == (400, f"video: {STUCK}")
    status, answer = start_job(daemon, videos["well"])
    assert status == 200, answer
    job = answer["jobs"][0]["id"]
    wait_for(lambda: daemon.get(f"/api/jobs/{job}")["state"] == "succeeded", 60, "the other job")
    assert daemon.terminate(timeout=30) == 0


def start_job(daemon: Daemon, video: Path) -> tuple[int, Any]:
    body = json.dumps({"video": str(video), "analyses": ["segments"]}).encode()
    request = urllib.request.Request(daemon.url + "/api/jobs", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status), json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

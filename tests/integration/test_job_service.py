"""Jobs in a queue: limits, tokens, cancelling, workers that share a decode."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from streamproc.core.errors import LimitExceeded, NotFound, TokenMismatch
from streamproc.jobs.job_run import Advance, RunPolicy
from streamproc.jobs.model import Job, JobKind, JobRequest, JobState, VideoRef
from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.service import JobLimits, JobService, VideoTooLarge
from streamproc.jobs.sources import InvalidObject, Videos
from streamproc.jobs.video import StoredVideo
from streamproc.store.database import Database
from tests import videos
from tests.builders.segment_jobs import service_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.edit(tmp_path_factory.mktemp("clip") / "clip.mp4", sound=True)


def test_limits_tokens_and_cancelling(tmp_path: Path, clip: Path) -> None:
    service = service_of(tmp_path, JobLimits(max_open=2))
    asked = JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), token="abc", tag="first")
    job = service.start(asked)
    assert service.start(asked).id == job.id
    with pytest.raises(TokenMismatch, match="abc you have supplied is already in use"):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), token="abc", tag="second"))
    other = service.start(JobRequest(JobKind.LABELS, VideoRef(str(clip)), token="abc"))
    with pytest.raises(LimitExceeded, match=r"2  open Jobs"):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip))))
    assert service.cancel(other.id).state is JobState.CANCELLED
    assert service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)))).state is JobState.QUEUED
    with pytest.raises(NotFound):
        service.get(job.id, JobKind.LABELS)
    with pytest.raises(VideoTooLarge):
        service_of(tmp_path / "small", JobLimits(max_bytes=10)).start(asked)
    with pytest.raises(InvalidObject):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(tmp_path / "nothing.mp4"))))


def test_workers_share_a_decode_and_tell_when_done(tmp_path: Path, clip: Path) -> None:
    told: list[Job] = []
    done = threading.Event()

    def tell(job: Job) -> None:
        told.append(job)
        if len(told) == 2:
            done.set()

    from streamproc.jobs.model import Channel

    opened: list[str] = []

    class Counting(Videos):
        def open(self, ref: VideoRef, reading: AbstractContextManager[None] | None = None) -> StoredVideo:
            opened.append(ref.url)
            return super().open(ref, reading)

    make = lambda kind, options, video: SegmentAnalysis(SegmentOptions(), video)  # noqa: E731
    service = JobService(Database(tmp_path), Counting(), make, on_completed=tell)
    for tag in ("a", "b"):
        service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), tag=tag, channel=Channel("arn:topic")))
    service.open_workers()
    assert done.wait(60)
    service.close()
    assert len(opened) == 1
    assert {job.request.tag for job in told} == {"a", "b"} and {job.state for job in told} == {JobState.SUCCEEDED}


def test_a_cancelled_job_leaves_its_run(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.jobs.service.RunPolicy", partial(RunPolicy, checkpoint_s=0.0))
    service = service_of(tmp_path)
    jobs = [service.start(JobRequest(JobKind.SEGMENTS, VideoRef(str(clip)), tag=tag), run="one") for tag in "ab"]
    seen: list[int] = []

    def tell(advance: Advance) -> None:
        seen.append(advance.frames)
        for job in jobs if len(seen) == 2 else jobs[:1] if len(seen) == 1 else []:
            if service.show(job.id).state.open:
                service.cancel(job.id)

    service.run(jobs, stop=lambda: False, tell=tell)
    assert [service.show(job.id).state for job in jobs] == [JobState.CANCELLED] * 2
    assert seen[-1] < 200, "the run went on although nobody waited for it"

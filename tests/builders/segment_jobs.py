"""Jobs that find the segments of a video, without a daemon."""

from __future__ import annotations

from pathlib import Path

from streamproc.jobs.model import Job, JobKind, JobRequest, VideoRef
from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.service import JobLimits, JobService
from streamproc.jobs.sources import StoreSettings, Videos
from streamproc.store.database import Database


def service_of(folder: Path, limits: JobLimits | None = None, settings: StoreSettings | None = None) -> JobService:
    return JobService(
        Database(folder),
        Videos(settings),
        lambda kind, options, video: SegmentAnalysis(SegmentOptions(), video),
        limits=limits,
    )


def run(folder: Path, video: str | VideoRef, settings: StoreSettings | None = None) -> tuple[Job, JobService]:
    service = service_of(folder, settings=settings)
    ref = VideoRef(video) if isinstance(video, str) else video
    job = service.start(JobRequest(JobKind.SEGMENTS, ref), owner="test", run="one")
    service.run([job], stop=lambda: False, tell=lambda advance: None)
    return service.show(job.id), service

"""From a kind and its options to a ready analysis. Models and collections are opened when the first job needs them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from streamproc.config.box import BoxConfig
from streamproc.core.errors import InputError
from streamproc.jobs.analysis import Analysis
from streamproc.jobs.model import JobKind
from streamproc.jobs.segments import SegmentAnalysis, SegmentOptions
from streamproc.jobs.service import JobLimits, JobService, Told
from streamproc.jobs.sources import StoreSettings, Videos
from streamproc.jobs.video import VideoFacts
from streamproc.store.database import Database

Options = TypeVar("Options")


class Analyses:
    """Makes analyses for the jobs of one data directory."""

    def __init__(self, box: BoxConfig, data_dir: Path) -> None:
        self._box = box
        self._data_dir = data_dir

    def make(self, kind: JobKind, options: dict[str, Any], video: VideoFacts) -> Analysis:
        """Raises InputError for options that the kind does not have, ModelUnavailable, NotFound for a collection."""
        match kind:
            case JobKind.SEGMENTS:
                return SegmentAnalysis(parse(SegmentOptions, options), video)
            case _:
                raise InputError(f"{kind} jobs are not offered")


def open_jobs(database: Database, box: BoxConfig, data_dir: Path, told: Told = lambda job: None) -> JobService:
    """The jobs of one data directory by the box's settings. Call ``open_workers`` on it to have them run."""
    limits = JobLimits(
        max_open=box.limits.max_jobs,
        queue=box.limits.queue_jobs,
        max_bytes=box.limits.max_video_bytes,
        max_seconds=box.limits.max_video_seconds,
    )
    videos = Videos(StoreSettings(box.aws.endpoint_url, box.aws.region))
    return JobService(database, videos, Analyses(box, data_dir).make, limits=limits, told=told)


def parse(shape: type[Options], options: dict[str, Any]) -> Options:
    """Options from JSON. Raises InputError for a key that ``shape`` does not have."""
    known = {item.name for item in fields(shape)}  # type: ignore[arg-type]
    unknown = sorted(set(options) - known)
    if unknown:
        raise InputError(f"{unknown[0]}: no such option; known are {', '.join(sorted(known))}")
    return shape(**options)

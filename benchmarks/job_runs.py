"""What the benchmarks of stored video share: one run of a job of each kind, and long videos."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av

from benchmarks.common import Stopwatch
from streamproc.jobs.build import open_jobs
from streamproc.jobs.job_run import Advance
from streamproc.jobs.model import JobKind, JobRequest, VideoRef
from streamproc.perception.provider import ModelProvider
from streamproc.store.database import Database

KINDS = (JobKind.SEGMENTS, JobKind.LABELS, JobKind.PERSONS, JobKind.FACES)


def run(
    folder: Path,
    video: Path,
    kinds: Sequence[JobKind],
    provider: ModelProvider,
    tell: Callable[[Advance], None] = lambda advance: None,
) -> Stopwatch:
    """One run of these kinds over one decode; the program ends where one fails."""
    service = open_jobs(Database(folder), provider)
    name = f"{time.monotonic_ns()}"
    jobs = [service.start(JobRequest(kind, VideoRef(str(video))), owner="benchmark", run=name) for kind in kinds]
    with Stopwatch() as took:
        service.run(jobs, stop=lambda: False, tell=tell)
    failed = [service.show(job.id).message for job in jobs if service.show(job.id).state != "succeeded"]
    if failed:
        raise SystemExit(f"a job failed: {failed[0]}")
    return took


def looped(clip: Path, path: Path, minutes: float) -> Path:
    """The clip's packets, picture and sound, again and again until it is so long: nothing is encoded anew."""
    offset = Fraction(0)
    with av.open(str(path), "w") as target:
        streams: dict[int, av.stream.Stream] = {}
        while offset < minutes * 60:
            with av.open(str(clip)) as source:
                chosen = [*source.streams.video[:1], *source.streams.audio[:1]]
                for stream in chosen:
                    if stream.index not in streams:
                        streams[stream.index] = target.add_stream_from_template(stream)
                        streams[stream.index].time_base = stream.time_base
                end = Fraction(0)
                for packet in source.demux(*chosen):
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    if packet.stream.type == "video":
                        end = max(end, (packet.pts + (packet.duration or 1)) * packet.time_base)
                    shift = round(offset / packet.time_base)
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)
                offset += end
    return path

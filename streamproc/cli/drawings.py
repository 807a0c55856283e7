"""The pictures of ``analyze``: timeline.png, shots.jpg, persons.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from streamproc.core.media import Image
from streamproc.jobs.model import Job, JobKind
from streamproc.jobs.pictures import contact_sheet, paths, timeline
from streamproc.jobs.service import JobService
from streamproc.jobs.video import VideoFrame

MAX_SHOTS = 120


def draw(out: Path, jobs: Sequence[Job], service: JobService) -> list[str]:
    """Write what there is to draw; the names of the files."""
    results = {job.request.kind: service.result(job.id) for job in jobs}
    facts = jobs[0].facts
    names: list[str] = []
    shots = results.get(JobKind.SEGMENTS, {}).get("shots", [])[:MAX_SHOTS]
    persons = results.get(JobKind.PERSONS, {}).get("persons", [])
    if facts is not None and results.keys() & {JobKind.SEGMENTS, JobKind.LABELS, JobKind.PERSONS}:
        sheet = timeline({str(kind): result for kind, result in results.items()}, facts.duration_ms)
        names.append(_save(out / "timeline.png", sheet))
    wanted = {(shot["start_ms"] + shot["end_ms"]) // 2: index for index, shot in enumerate(shots)}
    ground = _busiest(persons)
    pictures = _pictures(service, jobs[0], {*wanted, *([] if ground is None else [ground])})
    if shots:
        shown = {index: pictures[ms] for ms, index in wanted.items() if ms in pictures}
        names.append(_save(out / "shots.jpg", contact_sheet(shots, shown)))
    if ground is not None and ground in pictures:
        names.append(_save(out / "persons.png", paths(persons, pictures[ground], ground)))
    return names


def _busiest(persons: Sequence[Mapping[str, Any]]) -> int | None:
    """The time with most people in view."""
    counts: dict[int, int] = {}
    for item in persons:
        counts[item["ms"]] = counts.get(item["ms"], 0) + 1
    return max(counts, key=lambda ms: (counts[ms], -ms)) if counts else None


def _pictures(service: JobService, job: Job, times: set[int]) -> dict[int, Image]:
    """The frames at those times. One more pass; only frames that are shown are converted."""
    found: dict[int, Image] = {}
    if not times:
        return found
    waiting = sorted(times)
    video = service.open_video(job.request.video)
    try:
        for item in video.items():
            if not isinstance(item, VideoFrame):
                continue
            while waiting and item.milliseconds >= waiting[0]:
                found[waiting.pop(0)] = item.picture.bgr(1280, 1280).copy()
            if not waiting:
                break
    finally:
        video.close()
    return found


def _save(path: Path, picture: Image) -> str:
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    return path.name

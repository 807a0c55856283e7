"""Results of stored-video jobs as files and as words for people."""

from __future__ import annotations

from collections import Counter
from typing import Any

from streamproc.aws.video_documents import whole
from streamproc.jobs.answers import spans
from streamproc.jobs.model import Job, JobKind
from streamproc.jobs.service import JobService

_MANY = 12


def documents(service: JobService, jobs: list[Job]) -> dict[str, dict[str, Any]]:
    """By file name: labels.json, segments.json, persons.json, faces.json, face-search.json."""
    return {f"{job.request.kind}.json": whole(service, job) for job in jobs}


def summary_of(service: JobService, jobs: list[Job]) -> dict[str, Any]:
    """What was found, in figures and in lines of words."""
    facts = jobs[0].facts
    summary: dict[str, Any] = {"jobs": {str(job.request.kind): job.id for job in jobs}, "frames": jobs[0].frames}
    lines: list[str] = []
    if facts is not None:
        summary |= {"seconds": facts.duration_ms / 1000, "width": facts.width, "height": facts.height}
        lines.append(
            f"{_counted(jobs[0].frames, 'frames')}, {facts.duration_ms / 1000:.1f} s, {facts.width}x{facts.height},"
            f" {float(facts.rate):.5g} frames a second, {facts.codec}"
        )
    for job in jobs:
        kind = job.request.kind
        figures = _FIGURES[kind](service.result(job.id))
        summary[str(kind)] = figures
        words = ", ".join(
            _counted(value, key) if isinstance(value, int) else f"{key} {value}" for key, value in figures.items()
        )
        lines.append(f"{kind}: {words or 'nothing'}")
    return summary | {"lines": lines}


def _counted(number: int, what: str) -> str:
    """``2 shots``, ``1 shot``; a cue's type stays as it is."""
    return f"{number} {what.removesuffix('s') if number == 1 and what.islower() else what}"


def _segments(result: Any) -> dict[str, Any]:
    cues = Counter(cue["type"] for cue in result["cues"])
    return {"shots": len(result["shots"]), **cues}


def _labels(result: Any) -> dict[str, Any]:
    seconds: Counter[str] = Counter()
    for span in spans(result):
        seconds[span["name"]] += span["end_ms"] - span["start_ms"]
    return {name: f"{ms / 1000:.1f} s" if ms else "at one moment" for name, ms in seconds.most_common(_MANY)}


def _persons(result: Any) -> dict[str, Any]:
    return {"persons": len({item["index"] for item in result["persons"]})}


def _faces(result: Any) -> dict[str, Any]:
    return {"faces": len(result["faces"])}


def _face_search(result: Any) -> dict[str, Any]:
    names = {
        match["face"]["user_id"] or match["face"]["external_image_id"] or match["face"]["face_id"]
        for item in result["persons"]
        for match in item["matches"][:1]
    }
    return {
        "persons": len({item["index"] for item in result["persons"]}),
        "known": ", ".join(sorted(names)) or "nobody",
    }


_FIGURES = {
    JobKind.SEGMENTS: _segments,
    JobKind.LABELS: _labels,
    JobKind.PERSONS: _persons,
    JobKind.FACES: _faces,
    JobKind.FACE_SEARCH: _face_search,
}

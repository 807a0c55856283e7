"""A job as commands and the control API show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streamproc.jobs.model import Job
from streamproc.logic.redact import redact_url


def job_document(job: Job) -> dict[str, Any]:
    """JSON-ready and without secrets. ``frames`` of ``expected`` are done; 0 expected: unknown."""
    facts = job.facts
    return {
        "id": job.id,
        "kind": str(job.request.kind),
        "state": str(job.state),
        "video": redact_url(job.request.video.url),
        "frames": job.frames,
        "expected": job.expected,
        "created": _time(job.created),
        "ended": _time(job.ended) if job.ended is not None else None,
        "message": job.message,
        "tag": job.request.tag,
        "options": dict(job.request.options),
        "node": job.node or None,
        "duration_ms": facts.duration_ms if facts is not None else None,
    }


def _time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds")

"""A processor as others see it: Describe, List, the AWS endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import Explains
from streamproc.core.media import rfc3339
from streamproc.logic.hours import Hours
from streamproc.logic.redact import without_secrets

if TYPE_CHECKING:
    from streamproc.live.run import Run


@dataclass(frozen=True, slots=True)
class ProcessorView:
    """One processor as it stands."""

    name: str
    config: ProcessorConfig
    state: str
    """stopped, starting, running, stopping, failed or refused."""
    message: str | None
    """Why it failed or was refused; what ended its last session."""
    created: datetime
    updated: datetime
    """Of the last change of its document or state."""
    origin: str = "api"
    """Who owns the document: a config file, or the control API and the AWS endpoint."""
    session: Mapping[str, Any] | None = None
    """Of the running (or the last) session: id, announced, counts."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """state (running, gap, idle, ended) and why."""
    schedule: Mapping[str, Any] = field(default_factory=dict)
    """active, next (when that changes, or null) and override (what somebody says over it, or null)."""
    health: Sequence[str] = ()
    """Conditions of the camera that hold: offline, frozen, covered..."""
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, brief: bool = False) -> dict[str, Any]:
        """What the control API answers; no secret is in it."""
        document: dict[str, Any] = {
            "name": self.name,
            "state": self.state,
            "message": self.message,
            "origin": self.origin,
            "created": rfc3339(self.created),
            "updated": rfc3339(self.updated),
            "session": dict(self.session) if self.session else None,
            "source": dict(self.source),
            "health": list(self.health),
            "schedule": dict(self.schedule) or None,
            "tags": dict(self.config.tags),
        }
        if not brief:
            document["config"] = without_secrets(self.config.model_dump(mode="json", exclude_none=True))
            document["metrics"] = dict(self.metrics)
        return document


def session_of(run: Run) -> dict[str, Any]:
    """``ProcessorView.session`` of a run."""
    sessions = run.lane.sessions
    return {"id": sessions.session, "announced": dict(sessions.announced), "counts": dict(sessions.counts)}


def schedule_of(hours: Hours, now: datetime) -> dict[str, Any]:
    """``ProcessorView.schedule``."""
    change, override = hours.next_change(now), hours.override
    ruling = override if override is not None and override.rules(now) else None
    return {
        "active": hours.active(now),
        "next": rfc3339(change.at) if change is not None else None,
        "override": ruling.to_json() if ruling is not None else None,
    }


def source_of(run: Run) -> dict[str, Any]:
    """``ProcessorView.source`` of a run."""
    source, stats = run.feeder.source, run.lane.stats
    note = source.note if isinstance(source, Explains) else ""
    return {"type": run.spec.config.source.type, "state": stats.source, "why": stats.why or note}

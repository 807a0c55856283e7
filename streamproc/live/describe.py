"""A processor as Describe and List show it."""

from __future__ import annotations

from datetime import UTC, datetime

from streamproc.live.processor import Processor, hours_of
from streamproc.live.view import ProcessorView, schedule_of, session_of, source_of


def describe(processor: Processor) -> ProcessorView:
    """A processor as it stands, and what it waits for."""
    run, row = processor.run, processor.row
    lane = run.lane if run is not None else None
    assert row.created is not None and row.updated is not None
    return ProcessorView(
        name=processor.name,
        config=processor.config,
        state=processor.life.state.value,
        message=row.message or processor.complaint or processor.committer.waits,
        created=row.created,
        updated=row.updated,
        origin=row.origin,
        session=session_of(run) if run is not None else processor.last_session,
        source=source_of(run) if run is not None else {},
        health=lane.frames.health.active if lane is not None else (),
        schedule=schedule_of(hours_of(processor), datetime.now(UTC)),
        metrics={**lane.stats.view(), "idle": lane.idle.view()} if lane is not None else {},
    )

"""From a lane's decisions to the journal: sessions, events with pictures, checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from streamproc.core.event import DETECTIONS, Event, EventType
from streamproc.core.route import Route
from streamproc.live.patience import PatientJournal
from streamproc.logic.clips import clip_of_event
from streamproc.logic.session import Sessions
from streamproc.pipeline.recorder import Decision
from streamproc.pipeline.snapshot import LaneState
from streamproc.store.journal import Checkpoint, Commit, SessionRow

OnEvents = Callable[[Sequence[Event]], None]


class JournalCommitter:
    """One processor's way into the journal. See ``recorder.Committer``."""

    def __init__(self, journal: PatientJournal, processor: str, on_events: OnEvents) -> None:
        self.routes: tuple[Route, ...] = ()
        self.context: Mapping[str, Any] = {}
        """What outputs echo of the session; JSON-ready."""
        self.recorded_as: str | None = None
        """The stream that keeps the source's video; events then say where theirs is."""
        self._journal = journal
        self._processor = processor
        self._on_events = on_events

    def commit(self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None) -> bool:
        """One transaction for everything: a process that is killed has told all of it or nothing."""
        stream = self.recorded_as
        if stream is not None:
            told = [(with_clip(event, stream), pictures) for event, pictures in told]
        groups: dict[str, list[Event]] = {}
        for event, _ in told:
            groups.setdefault(event.session, []).append(event)
        groups.setdefault(sessions.session, [])
        rows = [self._row(session, events, sessions) for session, events in groups.items()]
        checkpoint = Checkpoint(state.snapshot.encode(), state.position) if state is not None else None
        return self._commit(Commit(self._processor, rows, told, self.routes, checkpoint))

    def close(self, row: SessionRow, events: Sequence[Event]) -> None:
        """End a session of which only its row is known; the last of ``events`` is its summary."""
        closed = replace(row, closed=events[-1].at.wall, state=_closing_state(row.state, events[-1]))
        self._commit(Commit(self._processor, [closed], [(event, None) for event in events], self.routes))

    def forget(self, left: Checkpoint | None = None) -> None:
        """Nothing is to be gone on with, or only ``left``: behind whatever of the processor still waits for storage."""
        self._commit(Commit(self._processor, checkpoint=left, forget_checkpoint=left is None))

    @property
    def waits(self) -> str | None:
        """What the processor waits for, where something of it is not durable yet."""
        return self._journal.reason or "waits for storage" if self._journal.waits(self._processor) else None

    def _commit(self, commit: Commit) -> bool:
        return self._journal.commit(commit, self._stored)

    def _stored(self, fresh: Sequence[Event]) -> None:
        if fresh:
            self._on_events(fresh)

    def _row(self, session: str, events: list[Event], sessions: Sessions) -> SessionRow:
        now = datetime.now(UTC)
        current = session == sessions.session
        state = {"announced": sessions.announced, "counts": sessions.counts} if current else {}
        opened = sessions.opened.wall if current and sessions.opened else events[0].at.wall if events else now
        row = SessionRow(session, self._processor, opened, dict(state), dict(self.context))
        end = next((event for event in events if event.type is EventType.SESSION_COMPLETE), None)
        if end is None:
            return row
        return replace(row, closed=end.at.wall, state=_closing_state(state, end))


def with_clip(event: Event, stream: str) -> Event:
    """A detection with the URI of the video around it."""
    if event.type not in DETECTIONS:
        return event
    return replace(event, data={**event.data, "clip": clip_of_event(stream, event.at.wall).uri})


def _closing_state(state: Mapping[str, Any], summary: Event) -> dict[str, Any]:
    """What the row of a session keeps once it has its summary."""
    return {
        "announced": state.get("announced", {}),
        "counts": summary.data.get("counts", {}),
        "reason": summary.data["reason"],
    }

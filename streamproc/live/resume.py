"""Going on with what a process left: checkpoints of lanes, and sessions that were cut off."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction

import structlog

from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.contracts import Position
from streamproc.core.errors import StateError
from streamproc.core.event import EventType
from streamproc.core.media import GapReason, Moment
from streamproc.core.start import StartRequest
from streamproc.live.commit import JournalCommitter
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.session_record import OpenGap, SessionRecord
from streamproc.logic.session_records import session_id
from streamproc.logic.structure import from_document, to_document
from streamproc.pipeline.snapshot import LaneSnapshot, lowered
from streamproc.store.journal import Checkpoint, Journal, SessionRow

log = structlog.get_logger(__name__)
UNKNOWN_SEQUENCE = 1_000_000
"""Number of the first event that is added to a session none of whose events is kept any more: far behind those that were delivered."""


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """What a run was started with. Kept in its checkpoint; only a run with the same source and mode goes on from it."""

    start: StartRequest
    source: str
    """See ``source_key``."""
    mode: str
    """``session`` or ``continuous``."""

    @classmethod
    def of(cls, config: ProcessorConfig, request: StartRequest) -> RunOrigin:
        return cls(request, source_key(config.source), config.session.mode)


@dataclass(frozen=True, slots=True)
class Resumed:
    """Saved state of a run that ended without its summary (a crash, a hand-over) or, without a session, its place in a backlog."""

    snapshot: LaneSnapshot
    origin: RunOrigin
    position: Position | None

    @property
    def run_id(self) -> str | None:
        """None: there is no session to go on with."""
        return self.snapshot.sessions.run if self.snapshot.sessions is not None else None

    @property
    def session(self) -> str | None:
        """The session that was cut off; None in continuous mode, where each visit is one."""
        return session_id(self.run_id, 0) if self.run_id is not None and self.origin.mode == "session" else None

    @property
    def request(self) -> StartRequest:
        """What Start asked for."""
        return self.origin.start

    def without_session(self) -> Resumed:
        """What a new session goes on from, where the source keeps a backlog: the place in it."""
        return replace(self, snapshot=replace(self.snapshot, sessions=None, analyses=[]))


def new_run_id() -> str:
    """The id of a run that resumes none: a random UUID."""
    return str(uuid.uuid4())


def source_key(ref: ConnectorRef) -> str:
    """Equal for two sources that are the same feed with the same settings."""
    return json.dumps({"type": ref.type, **ref.options}, sort_keys=True, default=str)


def read_checkpoint(checkpoint: Checkpoint | None, config: ProcessorConfig) -> Resumed | None:
    """The state that a run of ``config`` can go on from; None where there is none, or it cannot be read, or it is of another source."""
    if checkpoint is None or checkpoint.snapshot is None:
        return None
    try:
        snapshot = LaneSnapshot.decode(checkpoint.snapshot)
        origin = from_document(RunOrigin, dict(snapshot.request))
    except StateError as error:
        log.warning("checkpoint_unreadable", reason=str(error))
        return None
    if (origin.source, origin.mode) != (source_key(config.source), config.session.mode):
        return None
    return Resumed(snapshot, origin, checkpoint.position)


def lowered_snapshot(data: bytes, version: int) -> bytes:
    """A lane's state for a node that reads no newer version; as it is where it cannot be read here either."""
    try:
        return lowered(data, version)
    except StateError:
        return data


def origin_document(config: ProcessorConfig, request: StartRequest) -> dict[str, object]:
    """What a lane keeps with its state so that ``read_checkpoint`` knows what it is of."""
    document: dict[str, object] = to_document(RunOrigin.of(config, request))
    return document


def close_left_over(
    processor: str, rules: SessionRules, journal: Journal, committer: JournalCommitter, reason: str
) -> None:
    """End, with their summaries, the sessions that a process left open and that will not go on; drop the checkpoint.

    Where the checkpoint cannot be read (it is damaged, or another version's), the rows of the journal say which sessions were open.
    """
    checkpoint = journal.checkpoint(processor)
    if checkpoint is None or checkpoint.snapshot is None:
        return
    try:
        left = LaneSnapshot.decode(checkpoint.snapshot).sessions
    except StateError as error:
        log.warning("checkpoint_dropped", processor=processor, reason=str(error))
        for row in journal.open_sessions(processor):
            _close_row(row, rules, journal, committer, reason)
    else:
        if left is not None:
            sessions = Sessions.restore(processor, rules, left)
            at = sessions.last or Moment(Fraction(0), datetime.now(UTC))
            committer.commit([(event, None) for event in sessions.end(reason, at)], sessions, None)
    journal.clear_checkpoint(processor)


def _close_row(
    row: SessionRow, rules: SessionRules, journal: Journal, committer: JournalCommitter, reason: str
) -> None:
    """A gap and a summary for a session of which only its row and its events are known."""
    announced = dict(row.state.get("announced", {}))
    if rules.mode == "continuous" and not announced:
        return  # the run's own row between visits: nothing was told under it that wants a summary
    last = journal.last_event(row.id)
    counts = dict.fromkeys(rules.classes, 0) | dict(row.state.get("counts", {}))
    sequence = UNKNOWN_SEQUENCE if last is None else last.sequence + 1
    record = SessionRecord(row.id, Moment(Fraction(0), row.opened), sequence, announced, counts)
    at = record.opened if last is None else last.at
    gap = OpenGap(GapReason.LOST.value, at, "the session's state could not be read after a restart")
    events = [
        record.close_gap(row.processor, gap, at, back=True),
        record.event(row.processor, EventType.SESSION_COMPLETE, at, record.summary(at, reason)),
    ]
    committer.close(row, events)

"""Which record of a run an event belongs to. Pure."""

from __future__ import annotations

import hashlib
import uuid

from streamproc.core.media import Moment
from streamproc.logic.session_record import SessionRecord


def session_id(run: str, number: int) -> str:
    """The id of the run's session ``number`` (the first is 0): a UUID, the same whenever the run is."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{run}/{number}".encode()).digest()[:16], version=4))


class SessionRecords:
    """The record of the open session, and the run's own of what falls between visits."""

    def __init__(self, run: str, classes: tuple[str, ...], *, single: bool) -> None:
        """``classes``: what each record counts even when none was seen. ``single``: the whole run is one session, not one a visit."""
        self._run = run
        self.classes = classes
        self._single = single
        self.open: SessionRecord | None = None
        self.between: SessionRecord | None = None
        self.visits = 0
        """How many visits were opened so far."""

    @property
    def session(self) -> str:
        """The id of the open session; between visits, the run's own."""
        if self.open is not None:
            return self.open.session
        return session_id(self._run, 0) if self._single else self._run

    def at_work(self, at: Moment) -> SessionRecord | None:
        """The open session; where the run is one session, that is opened by whatever happens first."""
        if self.open is None and self._single:
            self.open = self._new(session_id(self._run, 0), at)
        return self.open

    def for_news(self, at: Moment) -> SessionRecord:
        """The open session, or a visit that is opened by an announcement."""
        record = self.at_work(at)
        if record is None:
            record = self.open = self._new(session_id(self._run, self.visits), at)
            self.visits += 1
        return record

    def for_incident(self, at: Moment) -> SessionRecord:
        """Where an event belongs that opens no visit."""
        record = self.open or self.between
        if record is None:
            record = self.between = self._new(self._run, at)
        return record

    def close(self) -> SessionRecord | None:
        """The visit is over; its record, where there was one."""
        record, self.open = self.open, None
        return record

    def close_all(self) -> list[SessionRecord]:
        """The run is over; the records of it that have no summary yet."""
        records = [record for record in (self.open, self.between) if record is not None]
        self.open = self.between = None
        return records

    def _new(self, session: str, at: Moment) -> SessionRecord:
        return SessionRecord(session, at, counts=dict.fromkeys(self.classes, 0))

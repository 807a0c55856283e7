"""What is gone on with after a restart, and what becomes of sessions whose state cannot be read."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import Position
from streamproc.core.event import Event, EventType
from streamproc.core.media import Moment
from streamproc.core.route import Route
from streamproc.core.start import StartRequest
from streamproc.live.commit import JournalCommitter
from streamproc.live.patience import PatientJournal
from streamproc.live.resume import UNKNOWN_SEQUENCE, close_left_over, origin_document, read_checkpoint
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.sighting import Place
from streamproc.pipeline.snapshot import LaneSnapshot, LaneState
from streamproc.store.database import Database
from streamproc.store.journal import Checkpoint, Commit, Journal, SessionRow

OPENED = datetime(2024, 5, 4, 12, tzinfo=UTC)
RULES = SessionRules(duration=Fraction(60), classes=("PERSON",))
ALL = frozenset(EventType)


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Database(tmp_path / "data"))


def committer(journal: Journal, told: list[Event]) -> JournalCommitter:
    made = JournalCommitter(PatientJournal(journal), "door", lambda events: told.extend(events))
    made.routes = (Route("door/file", ALL),)
    return made


def config(url: str = "rtsp://camera/one", mode: str = "session") -> ProcessorConfig:
    session = {"duration": "60s"} if mode == "session" else {"mode": mode}
    return ProcessorConfig.model_validate({"source": {"type": "rtsp", "url": url}, "session": session, "labels": {}})


def yesterdays(tmp_path: Path) -> Checkpoint:
    state = {"version": 1, "sessions": {"run": "r"}, "planted": Planted(tmp_path / "unpickled")}
    return Checkpoint(zlib.compress(pickle.dumps(state, protocol=5), 1), None)


def person(sequence: int) -> Event:
    at = Moment(Fraction(12), OPENED.replace(second=12))
    return Event(EventType.LABEL_DETECTED, "door", "s1", sequence, at, label="PERSON", confidence=90.0)


def close(journal: Journal, rules: SessionRules = RULES) -> list[Event]:
    told: list[Event] = []
    close_left_over("door", rules, journal, committer(journal, told), "changed while streamproc was not running")
    return told


def test_yesterdays_session_gets_a_gap_and_a_summary_and_its_pickle_is_not_read(
    journal: Journal, tmp_path: Path
) -> None:
    state = {"announced": {"PERSON": "2024-05-04T12:00:12.000000Z"}, "counts": {"PERSON": 1}}
    row = SessionRow("s1", "door", OPENED, state, {"tags": {"site": "home"}})
    journal.commit(Commit("door", [row], [(person(3), None)], (Route("door/file", ALL),), yesterdays(tmp_path)))

    assert read_checkpoint(journal.checkpoint("door"), config()) is None
    gap, summary = close(journal)

    assert not (tmp_path / "unpickled").exists()
    assert (gap.type, gap.id, summary.type, summary.id) == ("source_gap", "s1-000004", "session_complete", "s1-000005")
    assert summary.data["counts"] == {"PERSON": 1} and summary.data["duration_s"] == 12.0
    assert "could not be read" in gap.data["detail"]
    closed = journal.session("s1")
    assert closed is not None and closed.closed is not None and closed.context == {"tags": {"site": "home"}}
    assert closed.state["announced"] == state["announced"]
    assert journal.checkpoint("door") is None and journal.open_sessions("door") == []
    owed = journal.database.read().execute("SELECT count(*) FROM deliveries WHERE state = 'waiting'").fetchone()[0]
    assert owed == 3
    assert close(journal) == []


def test_a_session_whose_events_are_no_longer_kept_gets_a_number_far_behind_them(
    journal: Journal, tmp_path: Path
) -> None:
    journal.commit(Commit("door", [SessionRow("s1", "door", OPENED)], checkpoint=yesterdays(tmp_path)))
    assert [event.sequence for event in close(journal)] == [UNKNOWN_SEQUENCE, UNKNOWN_SEQUENCE + 1]


def test_between_visits_nothing_is_owed_a_summary(journal: Journal, tmp_path: Path) -> None:
    journal.commit(Commit("door", [SessionRow("run", "door", OPENED)], checkpoint=yesterdays(tmp_path)))
    assert close(journal, SessionRules("continuous")) == []
    assert journal.checkpoint("door") is None


def saved(journal: Journal, origin: ProcessorConfig) -> Sessions:
    sessions = Sessions("door", RULES, "run")
    sessions.frame(Place(Moment(Fraction(5), OPENED)))
    request = StartRequest(at={"timestamp": 3.5}, duration_s=20.0, echo={"Name": "door", "$odd": [1]})
    snapshot = LaneSnapshot(sessions.snapshot(), Fraction(7, 3), None, origin_document(origin, request), [])
    told: Sequence[Event] = []
    committer(journal, list(told)).commit([], sessions, LaneState(snapshot, Position({"offset": 4})))
    return sessions


def test_a_checkpoint_is_gone_on_from_by_a_run_of_the_same_source_and_mode(journal: Journal) -> None:
    sessions = saved(journal, config())
    resumed = read_checkpoint(journal.checkpoint("door"), config())
    assert resumed is not None and resumed.snapshot.sessions == sessions.snapshot()
    assert resumed.request == StartRequest(at={"timestamp": 3.5}, duration_s=20.0, echo={"Name": "door", "$odd": [1]})
    assert (resumed.run_id, resumed.session, resumed.position) == ("run", sessions.session, Position({"offset": 4}))
    assert resumed.snapshot.after == Fraction(7, 3)
    begun_anew = resumed.without_session()
    assert (begun_anew.run_id, begun_anew.session, begun_anew.position) == (None, None, resumed.position)
    assert read_checkpoint(journal.checkpoint("door"), config("rtsp://camera/two")) is None
    assert read_checkpoint(journal.checkpoint("door"), config(mode="continuous")) is None


def test_a_session_of_another_source_ends_as_its_own_state_says(journal: Journal) -> None:
    sessions = saved(journal, config())
    (summary,) = close(journal)
    assert (summary.type, summary.session, summary.sequence) == ("session_complete", sessions.session, 0)
    assert summary.at.media == 5


@pytest.mark.parametrize("damage", ["cut", "newer", "other fields"])
def test_damaged_or_newer_state_is_dropped_not_trusted(journal: Journal, damage: str) -> None:
    saved(journal, config())
    checkpoint = journal.checkpoint("door")
    assert checkpoint is not None and checkpoint.snapshot is not None
    data = {
        "cut": checkpoint.snapshot[:-20],
        "newer": checkpoint.snapshot[:7] + b"\x02" + checkpoint.snapshot[8:],
        "other fields": LaneSnapshot(None, request={"start": {"at": 3}, "source": "", "mode": ""}).encode(),
    }[damage]
    journal.commit(Commit("door", checkpoint=replace(checkpoint, snapshot=data)))
    assert read_checkpoint(journal.checkpoint("door"), config()) is None
    assert len(close(journal)) == (0 if damage == "other fields" else 2)

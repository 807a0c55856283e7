"""Decisions while the storage takes nothing. The storage is real: a database that another process has locked, a disk that is full."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from streamproc.contracts import Position
from streamproc.core.errors import StorageUnavailable
from streamproc.core.event import Event, EventType, Pictures
from streamproc.core.route import Route
from streamproc.live import patience
from streamproc.live.patience import PatientJournal, merged
from streamproc.store.database import Database
from streamproc.store.journal import Checkpoint, Commit, Journal, SessionRow
from tests.builders.events import START, label_event, session

ROUTES = (Route("door/file", frozenset(EventType)),)


def commit(sequence: int, *, name: str = "door", pictures: int = 0, **more: object) -> Commit:
    event = label_event(sequence, session=f"{name}-s", processor=name)
    row = SessionRow(f"{name}-s", name, START)
    kept = Pictures(b"f" * pictures, b"c") if pictures else None
    after = Checkpoint(None, Position({"next": sequence + 1}))
    return Commit(name, [row], [(event, kept)], ROUTES, after, **more)  # type: ignore[arg-type]


def until(check: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Locked:
    """Another process's open write transaction."""

    def __init__(self, database: Database) -> None:
        self._other = sqlite3.connect(database.path, isolation_level=None)
        self._other.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self._other.execute("ROLLBACK")
        self._other.close()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    return Journal(Database(tmp_path))


def stored_ids(journal: Journal, name: str = "door") -> list[str]:
    return [event.id for event in reversed(journal.recent(name))]


@pytest.mark.logs_errors("storage_unavailable")
def test_what_is_decided_while_the_database_is_locked_is_committed_in_order_when_it_is_free(journal: Journal) -> None:
    patient, told = PatientJournal(journal), list[Event]()
    assert patient.commit(commit(0), told.extend)
    lock = Locked(journal.database)
    assert not patient.commit(commit(1), told.extend)
    assert not patient.commit(commit(2), told.extend)
    assert not patient.commit(commit(0, name="gate"), told.extend)
    assert patient.waits("door") and patient.waits("gate") and "locked" in patient.reason
    assert stored_ids(journal) == ["door-s-000000"] and len(told) == 1, "nothing may be told that is not durable"
    lock.end()
    until(lambda: not patient.waits("door") and not patient.waits("gate"))
    assert stored_ids(journal) == ["door-s-000000", "door-s-000001", "door-s-000002"]
    assert stored_ids(journal, "gate") == ["gate-s-000000"]
    assert [event.id for event in told if event.processor == "door"] == stored_ids(journal)
    assert journal.checkpoint("door") == Checkpoint(None, Position({"next": 3}))
    until(lambda: patient.commit(commit(3), told.extend) or not patient.waits("door"))
    until(lambda: len(stored_ids(journal)) == 4)


@pytest.mark.logs_errors("storage_unavailable")
def test_it_is_said_once(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    patient = PatientJournal(journal)
    lock = Locked(journal.database)
    for number in range(5):
        patient.commit(commit(number), lambda fresh: None)
        time.sleep(0.2)
    lock.end()
    until(lambda: not patient.waits("door"))
    until(lambda: patient.reason == "")
    said = capsys.readouterr().out
    assert said.count("storage_unavailable") == 1 and said.count("storage_available") == 1


@pytest.mark.logs_errors("storage_unavailable")
def test_what_another_node_has_taken_meanwhile_is_no_error(journal: Journal) -> None:
    patient = PatientJournal(journal)
    lock = Locked(journal.database)
    patient.commit(commit(0), lambda fresh: patient.forget("yard"))
    patient.commit(commit(0, name="yard"), lambda fresh: None)
    lock.end()
    until(lambda: patient.reason == "")
    assert stored_ids(journal) and not stored_ids(journal, "yard")


@pytest.mark.logs_errors("storage_unavailable")
def test_memory_is_bounded(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MAX_PICTURE_BYTES", 2500)
    monkeypatch.setattr(patience, "MAX_EVENTS", 4)
    patient = PatientJournal(journal)
    lock = Locked(journal.database)
    for number in range(4):
        patient.commit(commit(number, pictures=1000), lambda fresh: None)
    with pytest.raises(StorageUnavailable, match="wait already"):
        patient.commit(commit(4), lambda fresh: None)
    lock.end()
    until(lambda: not patient.waits("door"))
    kept = [pictures is not None for _, pictures in filter(None, map(journal.event, stored_ids(journal)))]
    assert kept == [True, True, False, False], "pictures are given up before what is told"


@pytest.mark.logs_errors("storage_unavailable")
def test_the_end_of_a_session_leaves_no_checkpoint(journal: Journal) -> None:
    patient = PatientJournal(journal)
    patient.commit(commit(0), lambda fresh: None)
    lock = Locked(journal.database)
    patient.commit(commit(1), lambda fresh: None)
    patient.commit(Commit("door", forget_checkpoint=True), lambda fresh: None)
    lock.end()
    until(lambda: not patient.waits("door"))
    assert journal.checkpoint("door") is None and len(stored_ids(journal)) == 2


@pytest.mark.logs_errors("storage_unavailable", "storage_never_came_back")
def test_given_up_at_the_end_of_the_process(journal: Journal) -> None:
    patient = PatientJournal(journal)
    lock = Locked(journal.database)
    patient.commit(commit(0), lambda fresh: None)
    before = time.monotonic()
    patient.close(0.3)
    assert time.monotonic() - before < 10, "it did not end"
    lock.end()
    assert stored_ids(journal) == []


def test_merging_keeps_the_last_word_of_each_session() -> None:
    first = Commit("door", [session("a")], checkpoint=Checkpoint(b"1", None))
    then = Commit("door", [session("a", closed=START + timedelta(seconds=9)), session("b")], routes=ROUTES)
    both = merged(first, then)
    assert [row.id for row in both.sessions] == ["a", "b"] and both.sessions[0].closed is not None
    assert both.checkpoint == Checkpoint(b"1", None) and both.routes == ROUTES
    forgot = merged(both, Commit("door", forget_checkpoint=True))
    assert forgot.checkpoint is None and forgot.forget_checkpoint
    anew = merged(forgot, first)
    assert anew.checkpoint == first.checkpoint and not anew.forget_checkpoint


@pytest.mark.logs_errors("storage_unavailable")
def test_a_full_disk_passes(small_disk: Path) -> None:
    journal = Journal(Database(small_disk))
    patient, told = PatientJournal(journal), list[Event]()
    assert patient.commit(commit(0, pictures=1000), told.extend)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(b"x" * 4_000_000)
    for number in range(1, 40):
        patient.commit(commit(number, pictures=1000), told.extend)
    assert patient.waits("door")
    ballast.unlink()
    until(lambda: not patient.waits("door"))
    assert stored_ids(journal) == [f"door-s-{number:06d}" for number in range(40)] == [event.id for event in told]
    with journal.database.write() as connection:  # no transaction was left open by what failed
        assert connection.in_transaction
    assert sqlite3.connect(journal.database.path).execute("SELECT COUNT(*) FROM events").fetchone() == (40,)

"""The journal: what is committed is there after a reopen, and nothing is told twice."""

from __future__ import annotations

import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from streamproc.contracts import Position
from streamproc.core.errors import InputError
from streamproc.core.event import Event, EventType, Pictures, RegionHit
from streamproc.core.media import FragmentMark
from streamproc.core.route import Route
from streamproc.core.vision import Box
from streamproc.store.codec import event_from_json, event_to_json
from streamproc.store.database import Database
from streamproc.store.journal import Checkpoint, Commit, Journal
from tests.builders.events import ALL, PICTURES, START, label_event, session


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Database(tmp_path))


def deliveries(journal: Journal) -> list[tuple[str, str]]:
    query = "SELECT id, output FROM deliveries JOIN events ON seq = event ORDER BY seq, output"
    return [tuple(row) for row in journal.database.read().execute(query)]


@pytest.mark.parametrize(
    "event",
    [
        label_event(0),
        label_event(
            7,
            box=Box(-0.1, 0.2, 0.30000001192092896, 1.0),
            region=RegionHit(None, 1.0),
            fragment=FragmentMark("91343852333289682796718532614445757584843717598", START, START),
            offset_s=0.25,
            data={"evidence": {"samples": 3}, "words": "naïve – ✓"},
        ),
        label_event(1, type=EventType.FACE_MATCHED, label=None, person="alice", confidence=99.0),
        label_event(2, type=EventType.SESSION_COMPLETE, label=None, confidence=None, has_pictures=False),
    ],
)
def test_an_event_survives_its_json(event: Event) -> None:
    assert event_from_json(event_to_json(event)) == event


def test_scalars_of_numpy_are_numbers() -> None:
    event = label_event(0, data={"score": np.float32(0.5), "looks": np.int64(3), "second": np.bool_(True)})
    assert event_from_json(event_to_json(event)).data == {"score": 0.5, "looks": 3, "second": True}


def test_not_a_number_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="JSON"):
        event_to_json(label_event(0, data={"score": float("nan")}))


def test_everything_of_a_commit_is_there_after_a_reopen(tmp_path: Path) -> None:
    journal = Journal(Database(tmp_path))
    checkpoint = Checkpoint(b"state", Position({"partition": 0, "offset": 12}))
    row = session(state={"announced": ["PERSON"]}, context={"tags": {"site": "home"}})
    fresh = journal.commit(Commit("door", [row], [(label_event(0), PICTURES)], [Route("door/file", ALL)], checkpoint))
    assert [event.id for event in fresh] == ["s1-000000"]
    journal.database.close()

    again = Journal(Database(tmp_path))
    assert again.open_sessions("door") == [row]
    assert again.checkpoint("door") == checkpoint
    assert again.event("s1-000000") == (label_event(0), PICTURES)
    assert deliveries(again) == [("s1-000000", "door/file")]
    assert again.database.node_id == journal.database.node_id


@pytest.mark.logs_errors("event_id_taken")
def test_an_event_decided_again_changes_nothing(journal: Journal) -> None:
    routes = [Route("door/file", ALL)]
    journal.commit(Commit("door", [session()], [(label_event(0), PICTURES)], routes))
    other = label_event(0, confidence=12.0)
    assert journal.commit(Commit("door", (), [(other, Pictures(b"x", b"y"))], routes)) == []
    assert journal.event("s1-000000") == (label_event(0), PICTURES)
    assert len(deliveries(journal)) == 1


def test_an_event_is_owed_to_the_outputs_that_take_its_type(journal: Journal) -> None:
    routes = [
        Route("door/file", ALL),
        Route("door/sns", frozenset({EventType.SESSION_COMPLETE})),
    ]
    complete = label_event(1, type=EventType.SESSION_COMPLETE, has_pictures=False)
    journal.commit(Commit("door", [session()], [(label_event(0), PICTURES), (complete, None)], routes))
    assert deliveries(journal) == [
        ("s1-000000", "door/file"),
        ("s1-000001", "door/file"),
        ("s1-000001", "door/sns"),
    ]


def test_face_records_are_kept_only_for_who_takes_them(journal: Journal) -> None:
    record = label_event(0, type=EventType.FACE_RECORD, has_pictures=False)
    told = frozenset({EventType.LABEL_DETECTED})
    assert journal.commit(Commit("door", [session()], [(record, None)], [Route("door/sns", told)])) == []
    assert len(journal.commit(Commit("door", (), [(record, None)], [Route("door/kafka", ALL)]))) == 1
    journal.refuse_records(True)
    more = label_event(1, type=EventType.FACE_RECORD, has_pictures=False)
    assert journal.commit(Commit("door", (), [(more, None)], [Route("door/kafka", ALL)])) == []


def test_a_commit_that_fails_leaves_nothing(journal: Journal) -> None:
    bad = label_event(1, data={"score": object()})
    with pytest.raises(TypeError):
        journal.commit(Commit("door", [session()], [(label_event(0), PICTURES), (bad, None)], []))
    assert journal.open_sessions("door") == []
    assert journal.recent("door") == []


def test_listeners_hear_which_sessions_have_something_to_deliver(journal: Journal) -> None:
    heard: list[set[tuple[str, str]]] = []
    journal.subscribe(heard.append)
    journal.commit(Commit("door", [session()], [], [Route("door/file", ALL)]))
    journal.commit(Commit("door", (), [(label_event(0), None)], [Route("door/file", ALL)]))
    assert heard == [{("door/file", "s1")}]


def test_closed_sessions_are_not_resumed(journal: Journal) -> None:
    journal.commit(Commit("door", [session("a")]))
    journal.commit(Commit("door", [session("b")]))
    journal.commit(Commit("door", [session("a", closed=START + timedelta(seconds=9))]))
    assert [row.id for row in journal.open_sessions("door")] == ["b"]


def test_threads_commit_beside_each_other(journal: Journal) -> None:
    def work(name: str) -> None:
        for sequence in range(20):
            event = label_event(sequence, name)
            journal.commit(Commit("door", [session(name)], [(event, PICTURES)], [Route("door/file", ALL)]))

    threads = [threading.Thread(target=work, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(deliveries(journal))) == 80


def test_pictures_of_events_that_never_were_are_swept(journal: Journal) -> None:
    journal.commit(Commit("door", [session()], [(label_event(0), PICTURES)], []))
    journal.spool.write(label_event(1), PICTURES)
    assert journal.spool.sweep({"s1-000000"}) == 0, "too young to be given up"
    assert journal.spool.sweep({"s1-000000"}, older_than_s=0) == 1
    assert journal.spool.read("s1", "s1-000000") == PICTURES
    assert journal.spool.read("s1", "s1-000001") is None


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a" * 300])
def test_session_ids_cannot_leave_the_spool(journal: Journal, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        journal.spool.write(label_event(0, name), PICTURES)


def test_migrations_run_once_and_newer_files_are_refused(tmp_path: Path) -> None:
    steps = (
        "CREATE TABLE things (id INTEGER);",
        "ALTER TABLE things ADD COLUMN name TEXT;\nINSERT INTO things VALUES (1, 'a;b');",
    )
    database = Database(tmp_path)
    database.migrate("things", steps[:1])
    database.migrate("things", steps)
    database.migrate("things", steps)
    assert [tuple(row) for row in database.read().execute("SELECT * FROM things")] == [(1, "a;b")]
    with pytest.raises(InputError, match="newer streamproc"):
        database.migrate("things", steps[:1])


def test_writes_nest_and_are_undone_together(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with pytest.raises(RuntimeError, match="stop"), database.write():
        database.put("key", "value")
        raise RuntimeError("stop")
    assert database.get("key") is None
    database.put("key", "value")
    assert database.get("key") == "value"


def test_readers_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path).read().execute("DELETE FROM facts")


def test_a_file_that_is_no_database_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "streamproc.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(InputError, match=r"streamproc\.db cannot be used"):
        Database(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--data-dir"):
        Database(tmp_path / "file" / "data")


def test_nobody_else_may_read_the_state(tmp_path: Path) -> None:
    journal = Journal(Database(tmp_path / "data"))
    journal.commit(Commit("door", [session()], [(label_event(0), PICTURES)]))
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert journal.database.path.stat().st_mode & 0o077 == 0


@pytest.mark.logs_errors("event_id_taken")
def test_an_id_that_another_content_has_taken_is_said(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    journal.commit(Commit("door", [session()], [(label_event(0), None)]))
    again = label_event(0, data={"latency": {"decided_ms": 12.0}})
    assert journal.commit(Commit("door", (), [(again, None)])) == []
    assert "event_id_taken" not in capsys.readouterr().out
    gap = label_event(0, type=EventType.SOURCE_GAP, has_pictures=False)
    assert journal.commit(Commit("door", (), [(gap, None)])) == []
    said = capsys.readouterr().out
    assert "event_id_taken" in said and "lost=source_gap" in said.replace("\x1b[0m", "").replace(
        "\x1b[35m", ""
    ).replace("\x1b[36m", "")

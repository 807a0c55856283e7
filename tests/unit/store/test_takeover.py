"""What a node leaves of a processor is what another goes on from, and nobody is told twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamproc.contracts import Position
from streamproc.core.errors import StateDamaged, StateVersionUnknown
from streamproc.core.route import Route
from streamproc.store.database import Database
from streamproc.store.journal import Checkpoint, Commit, Journal
from streamproc.store.takeover import EventRecord, Inherited, LaneRecord, Standing, adopt
from tests.builders.events import ALL, PICTURES, START, label_event, session

STANDING = Standing("hash", "running", None)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Database(tmp_path))


def waiting(journal: Journal) -> list[str]:
    query = "SELECT id FROM deliveries JOIN events ON seq = event WHERE state = 'waiting' ORDER BY seq"
    return [row["id"] for row in journal.database.read().execute(query)]


def test_records_survive_the_log() -> None:
    lane = LaneRecord(Checkpoint(b"\0state", Position({"at": 3})), STANDING, (session(),))
    assert LaneRecord.decode(lane.encode()) == lane
    empty = LaneRecord(None, Standing("hash", "stopped", "hash"))
    assert LaneRecord.decode(empty.encode()) == empty
    record = EventRecord(label_event(1), PICTURES, {"tags": {"site": "north"}})
    assert EventRecord.read(record.value(), dict(record.headers())) == record


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"version": 1, "standing": {}, "snapshot": 3}'])
def test_what_cannot_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(StateDamaged):
        LaneRecord.decode(data)


def test_a_later_version_s_record() -> None:
    with pytest.raises(StateVersionUnknown):
        LaneRecord.decode(b'{"version": 2}')
    document = json.loads(LaneRecord(None, STANDING).encode())
    document["standing"]["mood"] = document["more"] = "a key that was added without changing what the others mean"
    assert LaneRecord.decode(json.dumps(document).encode()) == LaneRecord(None, STANDING)


def test_a_record_follows_its_commits() -> None:
    first = LaneRecord().after(Commit("cam", [session()], checkpoint=Checkpoint(b"1", None)), STANDING)
    assert first.checkpoint is not None and [row.id for row in first.sessions] == [session().id]
    same = first.after(Commit("cam", []), STANDING)
    assert same.checkpoint == first.checkpoint and same.sessions == first.sessions
    ended = first.after(Commit("cam", [session(closed=START)], forget_checkpoint=True), STANDING)
    assert ended.checkpoint is None and ended.sessions[0].closed == START
    assert ended.after(Commit("cam", []), STANDING).sessions == (), (
        "a session that was closed before is nothing to go on with"
    )


def test_what_was_settled_is_not_owed_again(journal: Journal) -> None:
    events = [EventRecord(label_event(number), PICTURES) for number in range(4)]
    route = Route("cam/hook", ALL)
    lane = LaneRecord(Checkpoint(b"state", None), STANDING, (session(),))
    key = (route.output, events[0].event.session)
    inherited = Inherited(events[0].event.processor, lane, events, {key: 1}, [route])
    assert adopt(journal, inherited) == 4
    assert waiting(journal) == [each.event.id for each in events[2:]]
    assert journal.spool.read(events[3].event.session, events[3].event.id) == PICTURES
    checkpoint = journal.checkpoint(inherited.processor)
    assert checkpoint is not None and checkpoint.snapshot == b"state"
    assert adopt(journal, Inherited(inherited.processor, LaneRecord(), events, {key: 3}, [route])) == 0
    assert waiting(journal) == [] and journal.checkpoint(inherited.processor) is None
    assert journal.open_sessions(inherited.processor) == []

"""What a node leaves of a processor is what another goes on from, and nobody is told twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from streamproc.contracts import Position
from streamproc.core.errors import StateDamaged, StateVersionUnknown
from streamproc.core.event import Pictures
from streamproc.core.route import Route
from streamproc.logic.event_query import EventQuery
from streamproc.store.database import Database
from streamproc.store.journal import Checkpoint, Commit, Journal
from streamproc.store.takeover import EventRecord, Inherited, LaneRecord, Standing, adopt, look_on
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
    marked = EventRecord(label_event(1), PICTURES, {}, "mark")
    assert EventRecord.read(marked.value(), dict(marked.headers())) == EventRecord(label_event(1), None, {}, "mark")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"version": 1, "standing": {}, "snapshot": 3}'])
def test_what_cannot_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(StateDamaged):
        LaneRecord.decode(data)


def test_a_later_version_s_record() -> None:
    with pytest.raises(StateVersionUnknown):
        LaneRecord.decode(b'{"version": 2}')
    with pytest.raises(StateVersionUnknown, match="label_imagined"):
        EventRecord.read(EventRecord(label_event(1)).value().replace(b"label_detected", b"label_imagined"), {})
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


def owed_bytes(journal: Journal) -> tuple[int, int]:
    """As counted, and as it is."""
    counted = journal.database.read().execute("SELECT owed FROM outbox_size").fetchone()[0]
    query = (
        "SELECT TOTAL(picture_bytes + LENGTH(document)) FROM events "
        "WHERE EXISTS (SELECT 1 FROM deliveries WHERE event = seq AND state <> 'delivered')"
    )
    return int(counted), int(journal.database.read().execute(query).fetchone()[0])


def test_events_of_another_node_are_shown_and_delivered_by_nobody_until_its_processor_is_taken_over(
    journal: Journal,
) -> None:
    woken: list[None] = []
    journal.observers.append(lambda: woken.append(None))
    events = [EventRecord(label_event(number), PICTURES) for number in range(4)]
    for _ in range(2):  # read again after a crash
        look_on(journal, events[:3])
    assert len(woken) == 1, "nobody is woken for what is known"
    shown = [kept.event.id for kept in journal.history.page(EventQuery()).kept]
    assert shown == [each.event.id for each in events[2::-1]]
    assert journal.spool.read(events[0].event.session, events[0].event.id) == PICTURES
    assert waiting(journal) == [] and owed_bytes(journal) == (0, 0)
    assert journal.open_sessions(events[0].event.processor) == []

    route, key = Route("cam/hook", ALL), ("cam/hook", events[0].event.session)
    lane = LaneRecord(Checkpoint(b"state", None), STANDING, (session(),))
    inherited = Inherited(events[0].event.processor, lane, events, {key: 0}, [route])
    assert adopt(journal, inherited) == 1
    assert waiting(journal) == [each.event.id for each in events[1:]]
    counted, owed = owed_bytes(journal)
    assert counted == owed > 0
    assert [row.id for row in journal.open_sessions(inherited.processor)] == [session().id]
    look_on(journal, events)
    assert waiting(journal) == [each.event.id for each in events[1:]]


def test_pictures_in_the_cluster_s_store_are_shown_and_read_from_there(journal: Journal) -> None:
    asked: list[tuple[str, str, str]] = []

    def elsewhere(session: str, event_id: str, mark: str) -> Pictures | None:
        asked.append((session, event_id, mark))
        return PICTURES

    event, spool = label_event(0), journal.spool
    record = EventRecord(event, None, {}, "mark")
    look_on(journal, [record])
    adopt(journal, Inherited("door", LaneRecord(), [record], {}, [Route("cam/hook", ALL)]))
    assert spool.has(event.session, event.id) and spool.points(event.session, event.id)
    assert spool.read(event.session, event.id) is None, "this node knows of no store"
    spool.elsewhere = elsewhere
    assert journal.event(event.id) == (event, PICTURES)
    assert asked == [(event.session, event.id, "mark")]
    assert [kept.pictures for kept in journal.history.page(EventQuery()).kept] == [True]
    counted, owed = owed_bytes(journal)
    assert counted == owed < 1000, "nothing of them lies here"
    spool.remove(event.session, event.id)
    assert not spool.points(event.session, event.id) and spool.read(event.session, event.id) is None


def test_what_this_node_has_delivered_is_not_owed_again_after_another_one_had_the_processor(journal: Journal) -> None:
    route, one = Route("cam/hook", ALL), EventRecord(label_event(0))
    lane = LaneRecord(None, STANDING, (session(),))
    inherited = Inherited(one.event.processor, lane, [one], {}, [route])
    adopt(journal, inherited)
    with journal.database.write() as connection:
        connection.execute("UPDATE deliveries SET state = 'delivered'")
    look_on(journal, [one])
    adopt(journal, inherited)  # its note of the delivery did not reach the log
    assert waiting(journal) == [] and owed_bytes(journal) == (0, 0)


class Told:
    """Two nodes with journals on disk and the log that they share. ``by``: how often each event was delivered."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self.journals = [Journal(Database(folder / name)) for name in "ab"]
        self.chance, self.owner, self.kills = chance, 0, 0
        self.log: list[EventRecord] = []
        self.settled: dict[tuple[str, str], int] = {}
        self.by: Counter[str] = Counter()
        self.route = Route("cam/hook", ALL)

    def decide(self) -> None:
        event = label_event(len(self.log))
        self.log.append(EventRecord(event))
        if self.chance.random() < 0.9:  # else it dies between the log and its own rows
            self.journals[self.owner].commit(Commit("door", [session()], [(event, None)], [self.route]))
        else:
            self.take_over()

    def deliver(self) -> None:
        """The oldest that waits; now and then the node dies before the log knows."""
        journal = self.journals[self.owner]
        for name in waiting(journal)[:1]:
            self.by[name] += 1
            with journal.database.write() as connection:
                connection.execute(
                    "UPDATE deliveries SET state = 'delivered' WHERE event = (SELECT seq FROM events WHERE id = ?)",
                    (name,),
                )
            event = next(each.event for each in self.log if each.event.id == name)
            if self.chance.random() < 0.9:
                self.settled[self.route.output, event.session] = event.sequence
            else:
                self.kills += 1
                self.take_over()

    def look(self) -> None:
        """Whoever does not run it reads on, from anywhere that it had read before."""
        begin = self.chance.randrange(len(self.log) + 1)
        look_on(self.journals[1 - self.owner], self.log[begin : begin + 3])

    def take_over(self) -> None:
        self.owner = 1 - self.owner
        done = max(self.settled.values(), default=-1)
        owed = [each for each in self.log if each.event.sequence > done]
        lane = LaneRecord(None, STANDING, (session(),))
        adopt(self.journals[self.owner], Inherited("door", lane, owed, self.settled, [self.route], 0.0))


@pytest.mark.parametrize("seed", range(5))
def test_whoever_looks_on_and_takes_over_each_event_is_delivered_and_again_only_after_a_death(
    tmp_path: Path, seed: int
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    told = Told(tmp_path, Random(seed))
    for _ in range(60):
        told.chance.choice([told.decide, told.deliver, told.deliver, told.look, told.look, told.take_over])()
    while waiting(told.journals[told.owner]):
        told.deliver()
    assert told.by.keys() == {each.event.id for each in told.log}
    assert told.by.total() - len(told.by) <= told.kills
    for journal in told.journals:
        counted, owed = owed_bytes(journal)
        assert counted == owed

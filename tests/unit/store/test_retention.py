"""What is kept, how long, and what goes first."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from streamproc.core.event import Event, EventType, Pictures
from streamproc.core.route import Route
from streamproc.logic.event_query import EventQuery
from streamproc.store.database import Database
from streamproc.store.deliveries import DeliveryStore
from streamproc.store.journal import Commit, Journal
from streamproc.store.retention import Keep, Retention
from tests.builders.events import ALL, START, label_event, session

DAY = 86400.0
BIG = Pictures(b"f" * 9000, b"c" * 1000)
OWED = (Route("door/file", ALL),)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Database(tmp_path))


def tell(journal: Journal, *events: Event, owed: bool = False, open_session: bool = False) -> None:
    row = session(events[0].session, closed=None if open_session else START)
    routes = OWED if owed else ()
    journal.commit(Commit("door", [row], [(event, BIG if event.has_pictures else None) for event in events], routes))


def kept(journal: Journal) -> list[str]:
    return [each.event.id for each in reversed(journal.history.page(EventQuery(), limit=500).kept)]


def ids(*numbers: int, of: str = "s1") -> list[str]:
    return [f"{of}-{number:06d}" for number in numbers]


def age(journal: Journal, event_id: str, seconds: float) -> None:
    with journal.database.write() as connection:
        connection.execute("UPDATE events SET stored = stored - ? WHERE id = ?", (seconds, event_id))


def test_history_outlives_delivery_and_goes_by_age(journal: Journal) -> None:
    tell(journal, *(label_event(number) for number in range(4)))
    for event_id, days in zip(ids(0, 1, 2), (31, 31, 29), strict=True):
        age(journal, event_id, days * DAY)
    assert Retention(journal, 0).by_age(time.time(), Keep(300, 30 * DAY, 10**9)) == 2
    assert kept(journal) == ids(2, 3)
    assert [journal.spool.has("s1", event_id) for event_id in ids(0, 1, 2, 3)] == [False, False, True, True]
    assert journal.history.pruned() == 2
    assert journal.session("s1") is not None


def test_what_is_owed_stays_whatever_its_age(journal: Journal) -> None:
    tell(journal, label_event(0), label_event(1), owed=True)
    tell(journal, label_event(2))
    for event_id in ids(0, 1, 2):
        age(journal, event_id, 400 * DAY)
    deliveries, retention = DeliveryStore(journal), Retention(journal, 0)
    deliveries.dead("door/file", 1, "refused")
    assert retention.by_age(time.time(), Keep(300, DAY, 0)) == 1
    assert retention.by_size(time.time(), Keep(300, DAY, 0)) == 0
    assert kept(journal) == ids(0, 1)
    deliveries.delivered("door/file", [2])
    retention.by_age(time.time(), Keep(300, DAY, 0))
    assert kept(journal) == ids(0), "a dead letter waits for a person"


def test_over_its_size_the_oldest_go_and_nothing_that_is_owed(journal: Journal) -> None:
    tell(journal, label_event(0), owed=True)
    for number in range(1, 250):
        tell(journal, label_event(number))
    retention = Retention(journal, 0)
    retention.by_size(time.time(), Keep(300, DAY, 60_000))
    assert 40_000 < retention.history_bytes() <= 60_000
    left = kept(journal)
    assert left[0] == ids(0)[0] and left[1:] == ids(*range(250 - len(left) + 1, 250))
    files = sum(1 for _ in journal.spool.directory.rglob("*.pictures"))
    assert files == len(left)


def test_a_session_that_is_open_keeps_what_a_restart_may_decide_again(journal: Journal) -> None:
    tell(journal, label_event(0), label_event(1), open_session=True)
    tell(journal, label_event(0, "s2"))
    retention = Retention(journal, 0)
    retention.by_size(time.time(), Keep(300, DAY, 0))
    assert kept(journal) == ids(0, 1)
    retention.by_size(time.time() + 700, Keep(300, DAY, 0))
    assert kept(journal) == []


def test_face_records_go_soon_and_sessions_with_their_last_event(journal: Journal) -> None:
    record = label_event(0, "s3", type=EventType.FACE_RECORD, has_pictures=False)
    tell(journal, record, owed=True)
    tell(journal, label_event(0))
    DeliveryStore(journal).delivered("door/file", [1])
    retention = Retention(journal, 0)
    assert retention.by_age(time.time() + 301, Keep(300, 30 * DAY, 10**9)) == 1
    assert journal.session("s3") is None and journal.session("s1") is not None
    assert journal.history.pruned() == 0, "records are no history"
    retention.by_size(time.time(), Keep(300, DAY, 0))
    assert journal.session("s1") is None
    assert journal.database.read().execute("SELECT bytes, owed FROM outbox_size").fetchone()[:] == (0, 0)


def test_commits_go_on_meanwhile(journal: Journal) -> None:
    """Pruning a thousand events beside a thread that commits: all of its events are there, in order."""
    for number in range(0, 1000, 50):
        tell(journal, *(label_event(each, "old", has_pictures=False) for each in range(number, number + 50)))

    def commit() -> None:
        for number in range(100):
            tell(journal, label_event(number, "new", has_pictures=False))

    thread = threading.Thread(target=commit)
    with journal.database.write() as connection:
        connection.execute("UPDATE events SET stored = 0")
    thread.start()
    gone = Retention(journal).by_age(time.time(), Keep(300, DAY, 10**9))
    thread.join()
    assert gone == 1000
    assert kept(journal) == ids(*range(100), of="new")

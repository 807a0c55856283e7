"""The history: the same answers as looking at every event, pages that join up, and databases of before."""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.core.event import Event, EventType, RegionHit
from streamproc.core.route import Route
from streamproc.logic.event_query import EventQuery, parse_instant
from streamproc.store import history as history_module
from streamproc.store.codec import event_to_json
from streamproc.store.database import Database
from streamproc.store.deliveries import DeliveryStore
from streamproc.store.history import HISTORY_STEP
from streamproc.store.journal import JOURNAL_SCHEMA, Commit, Journal
from tests.builders.events import ALL, PICTURES, START, label_event

ROUTES = [Route("door/file", ALL), Route("door/sns", frozenset({EventType.LABEL_DETECTED}))]
NAMES = st.sampled_from(["door", "porch", "Überwachung"])
PEOPLE = st.sampled_from([None, "alice", "Bob", "ÅSA"])
REGIONS = st.sampled_from([None, "gate", "Lawn"])


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    made = []
    for sequence in range(draw(st.integers(0, 25))):
        kind = draw(st.sampled_from(list(EventType)))
        region = draw(REGIONS)
        event = label_event(
            sequence,
            processor=draw(NAMES),
            type=kind,
            label=draw(st.sampled_from(["PERSON", "PET"])) if kind is EventType.LABEL_DETECTED else None,
            person=draw(PEOPLE) if kind is EventType.FACE_MATCHED else None,
            region=RegionHit(region, 0.5) if region else None,
            at=label_event(draw(st.integers(0, 20))).at,
            data=draw(st.sampled_from([{}, {"reason": "lost: refused"}, {"condition": "offline", "active": True}])),
        )
        made.append(event)
    return made


QUERIES = st.builds(
    EventQuery,
    processors=st.lists(NAMES, max_size=2).map(tuple),
    types=st.lists(st.sampled_from([kind.value for kind in EventType]), max_size=3).map(tuple),
    labels=st.lists(st.sampled_from(["PERSON", "PET"]), max_size=1).map(tuple),
    persons=st.lists(PEOPLE.filter(bool), max_size=2).map(tuple),
    regions=st.lists(REGIONS.filter(bool), max_size=1).map(tuple),
    since=st.none() | st.integers(0, 20).map(lambda s: START + timedelta(seconds=s)),
    until=st.none() | st.integers(0, 21).map(lambda s: START + timedelta(seconds=s)),
    text=st.sampled_from(
        ["", "door", "ÜBER", "alice", "person gate", "åsa", "OFFLINE", "lost", "no such", "label detected"]
    ),
    faces=st.booleans(),
)


@settings(max_examples=60)
@given(
    told=events(),
    queries=st.lists(QUERIES, min_size=1, max_size=6),
    few=st.sampled_from([0, 64]),
    size=st.integers(1, 7),
)
def test_pages_hold_what_looking_at_every_event_finds(
    told: list[Event], queries: list[EventQuery], few: int, size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(history_module, "_FEW_KINDS", few)
        journal = Journal(Database(Path(folder)))
        for event in told:
            journal.commit(Commit("door", events=[(event, None)], routes=ROUTES))
        for query in queries:
            expected = [event for event in reversed(told) if query.matches(event)]
            found: list[Event] = []
            before: int | None = None
            while True:
                page = journal.history.page(query, before, size)
                assert len(page.kept) <= size
                found += [kept.event for kept in page.kept]
                before = page.next
                if before is None:
                    break
            assert found == expected
        journal.database.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Database(tmp_path))


def tell(journal: Journal, *events: Event) -> None:
    journal.commit(Commit("door", events=[(event, PICTURES) for event in events], routes=ROUTES))


def test_events_that_come_meanwhile_change_no_page(journal: Journal) -> None:
    tell(journal, *(label_event(number) for number in range(5)))
    first = journal.history.page(EventQuery(), limit=3)
    tell(journal, label_event(5))
    second = journal.history.page(EventQuery(), first.next, 3)
    assert [kept.event.sequence for kept in (*first.kept, *second.kept)] == [4, 3, 2, 1, 0]
    assert second.next is None
    assert [kept.event.sequence for kept in journal.history.since(first.latest, 10)] == [5]


def test_what_is_owed_is_told_apart_from_what_is_only_kept(journal: Journal) -> None:
    tell(journal, label_event(0), label_event(1))
    deliveries = DeliveryStore(journal)

    def sizes() -> tuple[int, int]:
        return tuple(journal.database.read().execute("SELECT bytes, owed FROM outbox_size").fetchone())

    whole = sizes()[0]
    assert sizes() == (whole, whole)
    seqs = [kept.seq for kept in journal.history.since(0, 10)]
    deliveries.delivered("door/file", seqs)
    assert sizes() == (whole, whole), "the other output still waits"
    deliveries.delivered("door/sns", seqs[:1])
    left = sizes()[1]
    assert 0.4 * whole < left < 0.6 * whole
    deliveries.dead("door/sns", seqs[1], "no")
    assert sizes() == (whole, left), "a dead letter may be sent again"
    states = [(state.output, state.state, state.reason) for state in journal.history.deliveries(seqs[1])]
    assert states == [("door/file", "delivered", None), ("door/sns", "dead", "no")]


def test_an_event_without_outputs_is_history_and_owed_to_nobody(journal: Journal) -> None:
    journal.commit(Commit("door", events=[(label_event(0), PICTURES)]))
    assert DeliveryStore(journal).bytes_kept() == 0
    (kept,) = journal.history.page(EventQuery()).kept
    assert kept.pictures and kept.event == label_event(0)


def test_a_database_of_before_has_its_events_in_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by the schema of the version before, with SQL of that time."""
    database = Database(tmp_path)
    before = JOURNAL_SCHEMA[: JOURNAL_SCHEMA.index(HISTORY_STEP)]
    database.migrate("journal", before)
    told = [
        label_event(0, region=RegionHit("gate", 0.5)),
        label_event(1, type=EventType.FACE_MATCHED, label=None, person="Åsa"),
        label_event(2, type=EventType.FACE_RECORD, label=None),
        label_event(3, type=EventType.SOURCE_GAP, label=None, data={"reason": "lost: connection refused"}),
    ]
    with database.write() as connection:
        for event in told:
            cursor = connection.execute(
                "INSERT INTO events (id, processor, session, type, stored, document, picture_bytes) VALUES (?, ?, ?, ?, 1, ?, 100)",
                (event.id, event.processor, event.session, event.type.value, event_to_json(event)),
            )
            if event.sequence == 0:
                connection.execute(
                    "INSERT INTO deliveries (event, output, session, state, changed) VALUES (?, 'door/file', 's1', 'waiting', 1)",
                    (cursor.lastrowid,),
                )
    database.close()

    journal = Journal(Database(tmp_path))
    pages = {
        "all": EventQuery(),
        "gate": EventQuery(regions=("gate",)),
        "person": EventQuery(text="åsa"),
        "gap": EventQuery(text="lost"),
        "time": EventQuery(since=START + timedelta(seconds=0.5), until=START + timedelta(seconds=1.5)),
    }
    found = {name: [kept.event.sequence for kept in journal.history.page(query).kept] for name, query in pages.items()}
    assert found == {"all": [3, 1, 0], "gate": [0], "person": [1], "gap": [3], "time": [1]}
    whole, owed = journal.database.read().execute("SELECT bytes, owed FROM outbox_size").fetchone()
    assert 100 < owed < whole / 3
    tell(journal, label_event(4, region=RegionHit("gate", 0.5)))
    assert len(journal.history.page(EventQuery(regions=("gate",))).kept) == 2
    assert len(journal.history.kinds()) == 3, "the same kind is not made twice"


def test_the_index_alone_answers(journal: Journal) -> None:
    """A question is never put to the documents, which are a hundred times the size."""
    plans = []
    connection = sqlite3.connect(journal.database.path)
    for statement, values in (
        (history_module._WALK.format(kinds=""), (9, 0, 9, 5)),
        (history_module._OF_KIND, (1, 9, 0, 9, 5)),
    ):
        plans += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert plans == [
        "SEARCH history USING INTEGER PRIMARY KEY (rowid<?)",
        "SEARCH history USING COVERING INDEX history_kind (kind=? AND seq<?)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-26T21:14:00Z", "2026-11-26T21:14:00+00:00"),
        ("2026-11-26T21:14:00.25+02:00", "2026-11-26T19:14:00.250000+00:00"),
        ("2026-11-26", "2026-11-26T00:00:00+00:00"),
    ],
)
def test_instants(text: str, expected: str) -> None:
    assert parse_instant(text).isoformat() == expected


@pytest.mark.parametrize("text", ["", "yesterday", "21:14", "2026-13-01", "\x00"])
def test_what_is_no_instant_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write one such as"):
        parse_instant(text)

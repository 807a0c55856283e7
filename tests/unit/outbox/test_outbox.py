"""The delivery loop, with sinks that misbehave on purpose. Real servers are in tests/integration."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamproc.config.node import HistorySettings, OutboxSettings
from streamproc.contracts import NOWHERE, Delivery, Images
from streamproc.core.errors import SinkBusy, SinkDenied, SinkRejected, StorageUnavailable
from streamproc.core.event import Event, EventType, Pictures
from streamproc.core.route import Route
from streamproc.outbox import output as output_module
from streamproc.outbox.housekeeping import Housekeeper
from streamproc.outbox.outbox import Outbox
from streamproc.plain import render_plain
from streamproc.store.database import Database
from streamproc.store.deliveries import DeliveryStore, Selection
from streamproc.store.journal import Commit, Journal, SessionRow
from tests.builders.events import START, label_event

PICTURES = Pictures(b"f" * 1000, b"c" * 500)
ROUTE = Route("door/sink", frozenset(EventType))


class RecordingSink:
    """Takes everything, unless told otherwise for an event."""

    guarantee = "test"

    def __init__(self, refuse: Callable[[Event], Exception | None] = lambda event: None) -> None:
        self.taken: list[str] = []
        self.deliveries: list[Delivery] = []
        self.attempts: list[str] = []
        self.refuse = refuse
        self.closed = False

    async def deliver(self, delivery: Delivery) -> None:
        self.attempts.append(delivery.event.id)
        await asyncio.sleep(0)
        if error := self.refuse(delivery.event):
            raise error
        self.taken.append(delivery.event.id)
        self.deliveries.append(delivery)

    async def aclose(self) -> None:
        self.closed = True


class KeepingSink(RecordingSink):
    def locate(self, event: Event) -> Images:
        return Images(f"/pictures/{event.id}.jpg", f"/pictures/{event.id}.crop.jpg")


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "RETRY", replace(output_module.RETRY, first_s=0.01, cap_s=0.02))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Database(tmp_path))


@pytest.fixture
async def box(journal: Journal) -> AsyncIterator[Outbox]:
    outbox = Outbox(journal, {"plain": render_plain})
    await outbox.start()
    yield outbox
    await outbox.aclose()


def tell(journal: Journal, *events: Event, routes: tuple[Route, ...] = (ROUTE,)) -> None:
    for event in events:
        row = SessionRow(event.session, "door", START, context={"tags": {"site": "home"}})
        journal.commit(Commit("door", [row], [(event, PICTURES if event.has_pictures else None)], routes))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def ids(*sequences: int, session: str = "s1") -> list[str]:
    return [f"{session}-{sequence:06d}" for sequence in sequences]


async def test_commits_from_another_thread_are_delivered_in_order(journal: Journal, box: Outbox) -> None:
    sink, confirmed = RecordingSink(), list[str]()
    box.delivered_listeners.append(lambda event: confirmed.append(event.id))
    await box.set_outputs("door", {"door/sink": sink})
    await asyncio.to_thread(tell, journal, *(label_event(number) for number in range(50)))
    await until(lambda: len(confirmed) == 50)
    assert confirmed == sink.taken
    assert sink.taken == ids(*range(50))
    assert sink.deliveries[0].context == {"tags": {"site": "home"}}


async def test_what_an_earlier_process_owed_is_delivered(journal: Journal) -> None:
    tell(journal, label_event(0), label_event(1))
    sink, outbox = RecordingSink(), Outbox(journal, {})
    await outbox.set_outputs("door", {"door/sink": sink})
    await outbox.start()
    await until(lambda: sink.taken == ids(0, 1))
    assert await outbox.drain(1) == 0
    await outbox.aclose()
    assert sink.closed

    again, outbox = RecordingSink(), Outbox(journal, {})
    await outbox.set_outputs("door", {"door/sink": again})
    await outbox.start()
    await outbox.drain(1)
    await outbox.aclose()
    assert again.attempts == []


async def test_busy_is_tried_again_and_holds_back_only_its_session(journal: Journal, box: Outbox) -> None:
    down = {"s1"}
    sink = RecordingSink(lambda event: SinkBusy("down") if event.session in down else None)
    await box.set_outputs("door", {"door/sink": sink})
    tell(journal, label_event(0), label_event(1), label_event(0, "s2"))
    await until(lambda: sink.attempts.count("s1-000000") >= 3)
    assert sink.taken == ids(0, session="s2")
    assert "s1-000001" not in sink.attempts
    first = DeliveryStore(journal).select(Selection(state="waiting"))[0]
    assert (first.event.id, first.reason) == ("s1-000000", "down")
    down.clear()
    await until(lambda: len(sink.taken) == 3)
    assert sink.taken == [*ids(0, session="s2"), *ids(0, 1)]


async def test_who_may_not_is_told_of_and_the_event_waits(journal: Journal, box: Outbox) -> None:
    told: list[tuple[str, str, bool]] = []
    box.denied_listeners.append(lambda processor, error: told.append((processor, error.service, error.missing)))
    allowed = False
    sink = RecordingSink(lambda event: None if allowed else SinkDenied("AccessDenied", "sns"))
    await box.set_outputs("door", {"door/sink": sink})
    tell(journal, label_event(0))
    await until(lambda: len(told) >= 2)
    assert set(told) == {("door", "sns", False)}
    allowed = True
    await until(lambda: sink.taken == ids(0))


@pytest.mark.logs_errors("output_refused")
async def test_refused_events_go_to_the_dead_letters_and_the_rest_goes_on(
    journal: Journal, box: Outbox, tmp_path: Path
) -> None:
    sink = RecordingSink(lambda event: SinkRejected("no such field") if event.sequence == 0 else None)
    await box.set_outputs("door", {"door/sink": sink})
    tell(journal, label_event(0), label_event(1))
    await until(lambda: sink.taken == ids(1))
    store = DeliveryStore(journal)
    await until(lambda: len(store.select(Selection(state="delivered"))) == 1)
    (dead,) = store.select(Selection(state="dead"))
    assert (dead.event.id, dead.reason, dead.attempts) == ("s1-000000", "no such field", 1)
    assert '"s1-000000"' in (tmp_path / "dead-letters.jsonl").read_text()
    assert (tmp_path / "dead-letters.jsonl").stat().st_mode & 0o077 == 0, "it names persons"

    sink.refuse = lambda event: None
    assert store.retry(Selection(output="door/sink")) == 1
    await until(lambda: sink.taken == ids(1, 0))


@pytest.mark.logs_errors("output_failed_unexpectedly", "output_refused")
async def test_a_bug_in_a_sink_does_not_stop_delivery(journal: Journal, box: Outbox) -> None:
    sink = RecordingSink(lambda event: KeyError("oops") if event.sequence == 0 else None)
    await box.set_outputs("door", {"door/sink": sink})
    tell(journal, label_event(0), label_event(1))
    await until(lambda: sink.taken == ids(1))
    assert sink.attempts.count("s1-000000") == 5


async def test_draining_tries_once_more_and_does_not_wait_for_a_dead_output(
    journal: Journal, box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "RETRY", replace(output_module.RETRY, first_s=60, cap_s=60))
    up = False
    sink = RecordingSink(lambda event: None if up else SinkBusy("down"))
    slow = RecordingSink(lambda event: SinkBusy("too many", retry_after=60))
    routes = (ROUTE, Route("door/slow", frozenset(EventType)))
    await box.set_outputs("door", {"door/sink": sink, "door/slow": slow})
    tell(journal, label_event(0), routes=routes)
    store = DeliveryStore(journal)
    await until(lambda: [item.attempts for item in store.select(Selection())] == [1, 1])
    await asyncio.sleep(0.05)
    up = True
    assert await box.drain(5) == 1
    assert sink.taken == ids(0)
    assert len(slow.attempts) == 1, "Retry-After is honoured"


async def test_outputs_that_stay_are_not_closed(journal: Journal, box: Outbox) -> None:
    kept, gone, new = RecordingSink(), RecordingSink(), RecordingSink()
    await box.set_outputs("door", {"door/a": kept, "door/b": gone})
    await box.set_outputs("door", {"door/a": kept, "door/c": new})
    assert (kept.closed, gone.closed, new.closed) == (False, True, False)


async def test_a_removed_processor_says_its_last_words(journal: Journal, box: Outbox) -> None:
    sink = RecordingSink()
    await box.set_outputs("door", {"door/sink": sink})
    tell(journal, *(label_event(number) for number in range(10)))
    await box.remove("door")
    assert sink.taken == ids(*range(10))
    assert sink.closed


async def test_only_keepers_get_pictures_and_the_others_are_told_where(journal: Journal, box: Outbox) -> None:
    keeper, other = KeepingSink(), RecordingSink()
    await box.set_outputs("door", {"door/file": keeper, "door/sink": other})
    tell(journal, label_event(0), routes=(ROUTE, Route("door/file", frozenset(EventType))))
    await until(lambda: len(keeper.taken) == len(other.taken) == 1)
    assert keeper.deliveries[0].pictures == PICTURES
    assert other.deliveries[0].pictures is None
    assert other.deliveries[0].images == Images("/pictures/s1-000000.jpg", "/pictures/s1-000000.crop.jpg")


def make_housekeeper(journal: Journal, settings: OutboxSettings) -> Housekeeper:
    return Housekeeper(journal, DeliveryStore(journal), settings, lambda owed: None, HistorySettings(keep=0))


def test_delivered_events_are_forgotten_in_time(journal: Journal) -> None:
    store = DeliveryStore(journal)
    tell(journal, label_event(0), label_event(1))
    (first, _) = store.next("door/sink", "s1", 10)
    store.delivered("door/sink", [first.seq])
    keeper = make_housekeeper(journal, OutboxSettings(keep_delivered=3600))
    keeper.look(first.stored + 10)
    assert journal.event("s1-000000") is not None
    keeper.look(first.stored + 3700)
    assert journal.event("s1-000000") is None
    assert journal.spool.read("s1", "s1-000000") is None
    assert 1500 < store.bytes_kept() < 2500, "one event with its pictures"
    assert journal.event("s1-000001") == (label_event(1), PICTURES), "nobody has taken it yet"


def test_a_clock_that_was_in_the_future_stops_no_cleaning(journal: Journal) -> None:
    store = DeliveryStore(journal)
    tell(journal, label_event(0))
    (item,) = store.next("door/sink", "s1", 10)
    store.delivered("door/sink", [item.seq])
    keeper = make_housekeeper(journal, OutboxSettings(keep_delivered=3600))
    keeper.look(item.stored - 10)
    keeper._cleaned = item.stored + 10 * 365 * 86400
    keeper.look(item.stored + 3700)
    assert journal.event("s1-000000") is None


async def test_an_event_waits_for_pictures_that_lie_elsewhere_but_not_without_end(
    journal: Journal, box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node took them: they are on their way, the store does not answer, there they are; or never will be."""
    answers: list[Pictures | Exception | None] = [None, StorageUnavailable("s3://b: refused"), PICTURES]

    def elsewhere(session: str, event_id: str, mark: str) -> Pictures | None:
        found = answers.pop(0) if answers else None
        if isinstance(found, Exception):
            raise found
        return found

    journal.spool.elsewhere = elsewhere
    sink = KeepingSink()
    await box.set_outputs("door", {"door/sink": sink})
    first, second = label_event(0), label_event(1)
    for event in (first, second):
        journal.spool.point(event, "mark")
    with capture_logs() as logs:
        journal.commit(Commit("door", [SessionRow("s1", "door", START)], [(first, None)], [ROUTE]))
        await until(lambda: len(sink.taken) == 1)
        assert sink.deliveries[0].pictures == PICTURES and answers == []
        reasons = [line["reason"] for line in logs if line["event"] == "output_busy"]
        assert [reason.partition(" ")[2].partition(" ")[2] for reason in reasons] == [
            "of s1-000000 are not in the cluster's bucket yet",
            "of s1-000000 cannot be had now: waits for storage: s3://b: refused",
        ]
        monkeypatch.setattr("streamproc.outbox.pictures.WAIT_S", 0.0)
        journal.commit(Commit("door", (), [(second, None)], [ROUTE]))
        await until(lambda: len(sink.taken) == 2)
    assert sink.deliveries[1].pictures is None and sink.deliveries[1].images == NOWHERE
    assert [line["event_id"] for line in logs if line["event"] == "delivered_without_pictures"] == ["s1-000001"]


@pytest.mark.logs_errors("outbox_full")
def test_a_full_outbox_gives_up_pictures_of_the_oldest_then_records_never_notifications(journal: Journal) -> None:
    big = Pictures(b"f" * 400_000, b"c" * 100_000)
    for number in range(4):
        event = label_event(number)
        journal.commit(Commit("door", [SessionRow("s1", "door", START)], [(event, big)], [ROUTE]))
    keeper = make_housekeeper(journal, OutboxSettings(max_bytes=1_400_000))
    keeper.look(0)
    have = [journal.spool.read("s1", event_id) is not None for event_id in ids(0, 1, 2, 3)]
    assert have == [False, False, True, True]
    assert len(DeliveryStore(journal).next("door/sink", "s1", 10)) == 4

    crowd = [(label_event(n, data={"x": "y" * 200_000}, has_pictures=False), None) for n in range(4, 14)]
    journal.commit(Commit("door", (), crowd, [ROUTE]))
    keeper.look(0)
    record = label_event(50, type=EventType.FACE_RECORD, has_pictures=False)
    assert journal.commit(Commit("door", (), [(record, None)], [ROUTE])) == []
    assert len(journal.commit(Commit("door", (), [(label_event(51), None)], [ROUTE]))) == 1


def test_dropping_by_hand_forgets(journal: Journal) -> None:
    tell(journal, label_event(0), label_event(1))
    store = DeliveryStore(journal)
    assert store.drop(Selection(event="s1-000000")) == 1
    assert [item.event.id for item in store.next("door/sink", "s1", 10)] == ids(1)
    assert store.drop(Selection(output="other/sink")) == 0


async def test_an_output_that_cannot_deliver_is_told_of_once_and_at_its_end(box: Outbox, journal: Journal) -> None:
    attempts = Counter[str]()

    def refuse(event: Event) -> Exception | None:
        attempts[event.session] += 1
        return SinkBusy(f"no answer for {attempts.total()} s") if attempts[event.session] < 6 else None

    await box.set_outputs("door", {"door/sink": RecordingSink(refuse)})
    with capture_logs() as lines:
        tell(journal, *(label_event(0, f"s{number}") for number in range(4)))
        await until(lambda: not DeliveryStore(journal).counts().get(("door/sink", "waiting")))
    said = [line for line in lines if line["event"] in ("output_busy", "output_delivers_again")]
    assert [line["event"] for line in said] == ["output_busy", "output_delivers_again"]
    assert said[-1]["times"] == 20

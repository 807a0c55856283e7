"""Transactions of a slot that nobody answered: what is committed is committed once, and nothing after another node had the slot.

Brokers that lose exactly the answer cannot be had; the writer and the store here are fakes with a log in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from connectors.kafka.slot_log import Entry, Lost, SlotWriter, Uncertain
from streamproc.cluster.formats import FORMATS, Format, agreed, newest
from streamproc.cluster.slot_commits import Decided, Forgotten, SlotCommits
from streamproc.cluster.slot_store import OWNER, Owner, SlotContents, SlotStore
from streamproc.core.errors import OwnershipLost, SourceError, StorageUnavailable
from streamproc.core.route import Route
from streamproc.logic.versions import Versions
from streamproc.store.journal import Checkpoint, Commit
from streamproc.store.takeover import EventRecord, LaneRecord, Standing
from tests.builders.events import ALL, label_event, session


@dataclass
class Log:
    """What the brokers have, and how they answer to the next transactions."""

    entries: list[Entry] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """fine, kept (committed without an answer), gone (neither), fenced."""
    writers: int = 0
    lanes: str = "lanes"
    events: str = "events"

    def writer(self, slot: int) -> SlotWriter:
        self.writers += 1
        return cast("SlotWriter", Writer(self))

    def settlement(self, settled: dict[tuple[str, str], int | None]) -> list[Entry]:
        found = [("/".join(key), number) for key, number in settled.items()]
        return [Entry("owed", key, str(number).encode() if number is not None else None) for key, number in found]

    def offset(self, event: str) -> int:
        return [entry.key for entry in self.entries].index(event)

    async def owner(self, slot: int) -> Owner:
        found = [entry for entry in self.entries if entry.key == OWNER]
        return Owner(**json.loads(found[-1].value or b""))

    def told(self) -> list[str]:
        return [entry.key for entry in self.entries if entry.topic == "events"]


@dataclass
class Writer:
    log: Log

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def commit(self, entries: Sequence[Entry]) -> list[int]:
        answer = self.log.answers.pop(0) if self.log.answers else "fine"
        await asyncio.sleep(0)
        if answer == "fenced":
            raise Lost("fenced")
        if answer in ("fine", "kept"):
            self.log.entries += entries
        if answer in ("kept", "gone"):
            raise Uncertain(answer)
        return list(range(len(self.log.entries) - len(entries), len(self.log.entries)))


async def ours() -> bool:
    return True


async def begun(log: Log, still_ours: Callable[[], Awaitable[bool]] = ours) -> tuple[SlotCommits, list[Lost]]:
    lost: list[Lost] = []
    commits = SlotCommits(3, cast("SlotStore", log), log.writer(3), still_ours, lost.append)
    await commits.begin(Owner("a", "first"), SlotContents())
    return commits, lost


def decided(*numbers: int) -> Decided:
    events = [EventRecord(label_event(number)) for number in numbers]
    return Decided(Commit("cam", [session()], [(each.event, None) for each in events]), events, Standing())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.cluster.slot_commits.AGAIN_S", 0.0)


@pytest.mark.parametrize("answer", ["kept", "gone"])
async def test_a_transaction_without_an_answer_is_found_out_about(answer: str) -> None:
    log = Log()
    commits, lost = await begun(log)
    log.answers = [answer]
    with pytest.raises(StorageUnavailable):
        await commits.commit(decided(0))
    await commits.commit(decided(0, 1))  # whoever was told that it waits asks again, with more
    assert log.told() == [label_event(0).id, label_event(1).id] and not lost
    assert log.writers == 2, "a new producer settles what the old one left"


async def test_who_gave_up_waiting_asks_again() -> None:
    log = Log()
    commits, _ = await begun(log)
    asked = asyncio.create_task(commits.commit(decided(0)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await commits.commit(decided(0, 1))
    assert log.told() == [label_event(0).id, label_event(1).id]


async def test_a_fence_is_the_end() -> None:
    log = Log()
    commits, lost = await begun(log)

    def end(error: Lost) -> None:
        lost.append(error)
        commits.close()

    commits._on_lost = end
    log.answers = ["fenced"]
    with pytest.raises(OwnershipLost):
        await commits.commit(decided(0))
    with pytest.raises(OwnershipLost):
        await commits.commit(decided(1))
    assert not await commits.prove(60.0) and log.told() == [] and len(lost) == 1


async def test_another_node_had_it_while_nobody_answered() -> None:
    log = Log()
    commits, lost = await begun(log)
    log.answers = ["gone"]
    with pytest.raises(StorageUnavailable):
        await commits.commit(decided(0))
    log.entries.append(Owner("b", "second", 1).entry("lanes"))
    waiting = asyncio.create_task(commits.commit(decided(0)))
    while not lost:
        await asyncio.sleep(0)
    commits.close()
    with pytest.raises(OwnershipLost):
        await waiting
    assert log.told() == []


async def test_nothing_is_tried_while_the_group_does_not_count_on_this_node() -> None:
    log, member = Log(), [False]

    async def still() -> bool:
        if not member[0]:
            raise SourceError("not now")
        return True

    commits, _ = await begun(log, still)
    log.answers = ["gone"]
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await commits.commit(decided(0))
    assert log.writers == 1
    member[0] = True
    await commits.commit(decided(0))
    assert log.told() == [label_event(0).id]


async def test_what_outputs_settled_is_written_and_proves_the_slot() -> None:
    log = Log()
    commits, _ = await begun(log)
    commits.settle("cam/hook", "s", 4)
    commits.settle("cam/hook", "s", 3)
    assert await commits.prove(0.0)
    assert [(entry.key, entry.value) for entry in log.entries if entry.topic == "owed"] == [("cam/hook/s", b"4")]
    before = len(log.entries)
    assert await commits.prove(60.0) and len(log.entries) == before, "proven lately: nobody is asked"


@pytest.mark.parametrize("answers", [[], ["kept"], ["gone"]])
async def test_a_processor_that_was_deleted_leaves_nothing_to_the_next_of_its_name(answers: list[str]) -> None:
    log = Log()
    commits, _ = await begun(log)
    one = decided(0)
    kept = Checkpoint(b"state", None)
    await commits.commit(Decided(replace(one.commit, checkpoint=kept), one.events, Standing("hash", "running", "hash")))
    assert commits.lanes["cam"].standing.finished == "hash"
    log.answers = answers
    for _ in range(2):  # whoever hears that it waits asks again
        try:
            await commits.commit(Forgotten("cam"))
        except StorageUnavailable:
            continue
        break
    assert "cam" not in commits.lanes
    assert [entry.value for entry in log.entries if entry.key == "cam"][-1] is None
    await commits.commit(Decided(Commit("cam"), [], Standing("other")))
    (lane,) = [LaneRecord.decode(entry.value or b"") for entry in log.entries[-2:] if entry.key == "cam"]
    assert lane == LaneRecord(None, Standing("other"))


async def test_a_new_owner_reads_from_what_is_owed_and_settled_sessions_are_forgotten() -> None:
    log = Log()
    commits, _ = await begun(log)
    routes = [Route("cam/hook", ALL)]
    for number in (0, 1):
        one = decided(number)
        await commits.commit(Decided(replace(one.commit, routes=routes), one.events, one.standing))
    session_id = label_event(0).session
    commits.settle("cam/hook", session_id, 0)
    assert await commits.prove(0.0)
    assert (await log.owner(3)).owed_from == log.offset(label_event(1).id)
    commits.settle("cam/hook", session_id, 1)
    assert await commits.prove(0.0)
    other = decided(2)
    moved = replace(other.events[0].event, session="another", sequence=0)
    await commits.commit(Decided(replace(other.commit, routes=routes), [EventRecord(moved)], other.standing))
    assert await commits.prove(0.0)
    found = [entry.value for entry in log.entries if entry.key == f"cam/hook/{session_id}"]
    assert found == [b"0", b"1", None]


async def test_when_an_older_node_comes_all_of_the_slot_is_written_again_so_that_it_can_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    next_one = Versions("a lane's record", 2, up={1: lambda found: found}, down={1: lambda found: found})
    monkeypatch.setattr("streamproc.store.takeover.VERSIONS", next_one)
    monkeypatch.setitem(cast("dict[int, Format]", FORMATS), 2, Format(record=2, snapshot=2))
    others, log = [2], Log()
    commits = SlotCommits(3, cast("SlotStore", log), log.writer(3), ours, lambda error: None, lambda: agreed(others))
    lane = LaneRecord(Checkpoint(b"state", None), Standing("idle"))
    await commits.begin(Owner("a", "first"), SlotContents(lanes={"idle": lane}))

    def versions() -> dict[str, int]:
        lanes = [entry for entry in log.entries if entry.topic == "lanes" and entry.key != OWNER]
        return {entry.key: json.loads(entry.value or b"")["version"] for entry in lanes}

    await commits.commit(decided(0))
    assert versions() == {"cam": 2}
    others.append(1)
    log.answers = ["gone"]
    with pytest.raises(StorageUnavailable):
        await commits.commit(decided(1))
    await commits.commit(decided(1))
    assert versions() == {"cam": 1, "idle": 1}
    written = len(log.entries)
    await commits.commit(decided(2))
    assert "idle" not in {entry.key for entry in log.entries[written:]}, "once is enough"
    others.clear()
    await commits.commit(decided(3))
    assert versions() == {"cam": 2, "idle": 1}


def test_the_format_is_the_newest_that_all_nodes_read() -> None:
    assert agreed([]) == newest() == max(FORMATS)
    assert agreed([newest() + 1]) == newest()
    assert agreed([newest() + 1, 0]) == min(FORMATS)

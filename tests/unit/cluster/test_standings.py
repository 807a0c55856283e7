"""A start, a stop and a deletion are in the log of the processor's slot before anything else is decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamproc.cluster.slot_commits import Decided, Forgotten
from streamproc.cluster.standings import Standings
from streamproc.core.errors import OwnershipLost, StorageUnavailable
from streamproc.store.processors import ProcessorRow
from streamproc.store.takeover import LaneRecord, Standing

DOCUMENT: dict[str, Any] = {"source": {"type": "file"}}
HASH = ProcessorRow("door", DOCUMENT).document_hash


@dataclass
class Keeper:
    """Of the one slot, with a log in memory."""

    running: bool = True
    lanes: dict[str, LaneRecord] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    async def commit(self, decided: Decided | Forgotten) -> None:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        if isinstance(decided, Forgotten):
            self.said.append("forgotten")
            self.lanes.pop(decided.processor)
        else:
            self.said.append("standing")
            name = decided.commit.processor
            self.lanes[name] = self.lanes.get(name, LaneRecord()).after(decided.commit, decided.standing)


@dataclass
class Place:
    keeper: Keeper
    rows: dict[str, ProcessorRow]
    standings: Standings

    async def told(self) -> None:
        await asyncio.wait_for(self.standings.flushed(20.0), 20.0)
        assert not self.standings._dirty


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr("streamproc.cluster.standings.AGAIN_S", 0.0)
    keeper, rows = Keeper(), {"door": ProcessorRow("door", DOCUMENT, wanted="running")}
    supervisor = SimpleNamespace(known=rows.__contains__, processor=lambda name: SimpleNamespace(row=rows[name]))
    division = SimpleNamespace(keeper_of=lambda name: keeper, keepers={0: keeper})
    processors = SimpleNamespace(supervisor=supervisor, adopted={"door"})
    documents = SimpleNamespace(deleted=lambda name: name not in rows)
    standings = Standings(cast("Any", division), cast("Any", processors), cast("Any", documents))
    standings.open()
    yield Place(keeper, rows, standings)
    await standings.close()


async def test_a_start_of_what_had_ended_by_itself_outlives_its_node(place: Place) -> None:
    place.keeper.lanes["door"] = LaneRecord(None, Standing(HASH, "running", HASH))
    place.standings.changed("door")
    await place.told()
    assert place.keeper.lanes["door"].standing == Standing(HASH, "running", None, "api")
    place.standings.changed("door")
    await place.told()
    assert place.keeper.said == ["standing"], "what the log has is not said again"


async def test_what_is_new_and_runs_needs_no_record(place: Place) -> None:
    place.standings.changed("door")
    await place.told()
    assert place.keeper.said == []
    place.rows["door"] = ProcessorRow("door", DOCUMENT, wanted="stopped")
    place.standings.changed("door")
    await place.told()
    assert place.keeper.lanes["door"].standing.wanted == "stopped"


async def test_it_is_said_again_until_the_brokers_have_it_unless_another_node_has_the_slot(place: Place) -> None:
    place.keeper.lanes["door"] = LaneRecord(None, Standing(HASH, "running", HASH))
    place.keeper.errors = [StorageUnavailable("away"), StorageUnavailable("away")]
    place.standings.changed("door")
    await place.told()
    assert place.keeper.said == ["standing"]
    place.rows["door"] = ProcessorRow("door", DOCUMENT, wanted="stopped")
    place.keeper.errors = [OwnershipLost("another's")]
    place.standings.changed("door")
    await place.told()
    assert place.keeper.said == ["standing"]


async def test_one_that_was_made_anew_finds_nothing_of_the_one_before(place: Place) -> None:
    place.keeper.lanes["door"] = LaneRecord(None, Standing(HASH, "running", HASH))
    row = place.rows.pop("door")
    place.standings.changed("door")
    place.rows["door"] = row
    place.standings.changed("door")
    assert place.keeper.lanes, "nothing was told yet"
    await asyncio.wait_for(place.standings.forgotten("door"), 20.0)
    assert place.keeper.said == ["forgotten"] and place.keeper.lanes == {}


async def test_what_callers_deleted_while_nobody_had_the_slot_is_forgotten_and_files_are_not(place: Place) -> None:
    for name, origin in (("gone", "api"), ("file", "file"), ("before", "")):
        place.keeper.lanes[name] = LaneRecord(None, Standing("hash", "running", None, origin))
    place.standings.taken()
    await place.told()
    assert set(place.keeper.lanes) == {"file", "before"}

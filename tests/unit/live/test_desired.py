"""The reconciler on real processors. Their source is a WHIP feed that nobody publishes to, so no frame ever asks for a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streamproc.contracts import Position
from streamproc.core.errors import AlreadyExists, InUse
from streamproc.core.start import StartRequest
from streamproc.live import desired
from streamproc.live.restarts import Restarts
from streamproc.live.resume import origin_document
from streamproc.logic.backoff import BackoffRule
from streamproc.logic.session import SessionRules, Sessions
from streamproc.media.fragment_feed import FragmentFeed
from streamproc.pipeline.snapshot import LaneSnapshot
from streamproc.store.database import Database
from streamproc.store.journal import Checkpoint, Commit, Journal
from tests.builders.nodes import Node, Owners, config


@pytest.fixture
async def owners() -> Owners:
    return Owners()


@pytest.fixture
async def node(tmp_path: Path, owners: Owners) -> AsyncIterator[Node]:
    made = await Node(tmp_path, owners).open()
    yield made
    await made.close()


async def test_a_file_comes_changes_and_goes(node: Node) -> None:
    await node.desired.declare("door", config())
    await node.until("door", "running")
    await node.desired.declare("door", config(state="stopped"))
    await node.until("door", "stopped")
    await node.desired.declare("door", config())
    await node.until("door", "running")
    node.desired.withdraw_all_but(set())
    await node.until("door", None)
    assert node.supervisor.store.all() == []


async def test_of_callers_that_make_one_name_at_the_same_time_one_is_taken(node: Node, tmp_path: Path) -> None:
    document = config(outputs=[{"type": "file", "directory": str(tmp_path / "out")}])
    made = await asyncio.gather(*(node.supervisor.create("door", document) for _ in range(4)), return_exceptions=True)
    assert [type(each) for each in made[1:]] == [AlreadyExists] * 3 and not isinstance(made[0], BaseException)


async def test_a_file_and_a_caller_cannot_have_one_name(node: Node) -> None:
    await node.supervisor.create("door", config())
    with pytest.raises(InUse, match="made by the control API"):
        await node.desired.declare("door", config())
    node.desired.refuse("door", "door.yaml: taken")
    assert (await node.supervisor.view("door")).message == "door.yaml: taken"
    await node.supervisor.delete("door")
    assert [view.state for view in await node.supervisor.views()] == ["refused"]


async def test_refused_until_a_good_document_comes(node: Node) -> None:
    node.desired.refuse("door", "door.yaml:1: source.path: missing")
    (view,) = await node.supervisor.views()
    assert (view.state, view.message) == ("refused", "door.yaml:1: source.path: missing")
    await node.desired.declare("door", config())
    await node.until("door", "running")
    node.desired.refuse("door", "door.yaml:2: labels: wrong")
    view = await node.supervisor.view("door")
    assert (view.state, view.message) == ("running", "door.yaml:2: labels: wrong")
    await node.desired.declare("door", config())
    assert (await node.supervisor.view("door")).message is None


async def test_stopped_by_a_caller_it_stays_stopped_until_its_file_changes(node: Node) -> None:
    await node.desired.declare("door", config())
    await node.until("door", "running")
    await node.supervisor.stop("door")
    await node.desired.settled()
    assert await node.state("door") == "stopped"
    await node.desired.declare("door", config(tags={"site": "home"}))
    await node.until("door", "running")


async def test_another_node_s_processor_is_described_and_not_started(node: Node, owners: Owners) -> None:
    owners.move("door", "node b runs it")
    await node.desired.declare("door", config())
    await node.desired.settled()
    view = await node.supervisor.view("door")
    assert (view.state, view.message) == ("stopped", "node b runs it")
    with pytest.raises(InUse, match="node b runs it"):
        await node.supervisor.start("door")
    owners.move("door", None)
    await node.until("door", "running")
    assert (await node.supervisor.view("door")).message is None


async def test_losing_a_processor_hands_its_session_over(node: Node, owners: Owners) -> None:
    await node.desired.declare("door", config())
    await node.until("door", "running")
    run = (await node.supervisor.view("door")).session
    owners.move("door", "node b runs it")
    await node.until("door", "stopped")
    await node.desired.settled()
    assert node.supervisor.journal.checkpoint("door") is not None, "whoever comes next goes on from it"
    assert node.supervisor.journal.recent("door") == [], "no summary was told"
    owners.move("door", None)
    await node.until("door", "running")
    assert (await node.supervisor.view("door")).session == run


async def test_the_next_process_goes_on_where_this_one_handed_over(tmp_path: Path) -> None:
    first = await Node(tmp_path).open()
    await first.supervisor.create("door", config())
    session = await first.supervisor.start("door")
    await first.until("door", "running")
    await first.close(hand_over=True)
    second = await Node(tmp_path).open()
    await second.until("door", "running")
    view = await second.supervisor.view("door")
    assert view.session is not None and view.session["id"] == session
    await second.close()


@pytest.mark.logs_errors("failed")
async def test_a_failed_one_is_started_again_when_the_policy_says_so(tmp_path: Path) -> None:
    node = await Node(tmp_path, retry_at=lambda processor, now: now + 0.05).open()
    refused = {"type": "unbound", "reason": "no such stream"}
    await node.desired.declare("door", config(source=refused))
    async with asyncio.timeout(20):
        while node.states.count(("door", "failed")) < 3:
            await asyncio.sleep(0.01)
    await node.close()


@pytest.mark.logs_errors("failed")
async def test_without_a_policy_it_stays_failed_until_its_file_changes(node: Node) -> None:
    await node.desired.declare("door", config(source={"type": "unbound", "reason": "no such stream"}))
    await node.until("door", "failed")
    await node.desired.settled()
    assert node.states.count(("door", "failed")) == 1
    await node.desired.declare("door", config())
    await node.until("door", "running")


@pytest.mark.logs_errors("reconcile_failed")
async def test_what_cannot_be_stored_is_not_begun_and_tried_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desired, "AGAIN", BackoffRule(first_s=0.05, cap_s=0.05))
    store = node.supervisor.store
    whole, fails = store.update, 2

    def update(name: str, **changes: Any) -> Any:
        nonlocal fails
        if changes.get("state") == "starting" and fails:
            fails -= 1
            raise OSError("disk full")
        return whole(name, **changes)

    monkeypatch.setattr(store, "update", update)
    await node.desired.declare("door", config())
    await node.until("door", "running")
    assert fails == 0 and ("door", "failed") not in node.states


@pytest.mark.logs_errors("failed")
async def test_what_only_somebody_can_mend_stays_failed_over_a_restart(tmp_path: Path) -> None:
    """With its reason, until it is started; whatever else failed is tried again."""
    before = await Node(tmp_path, retry_at=Restarts().retry_at).open()
    for name in ("door", "yard"):
        await before.supervisor.create(name, config())
        await before.supervisor.start(name)
        await before.until(name, "running")
    before.supervisor.processor("door").fail("Access denied to Kinesis Data")
    await before.until("door", "failed")
    yard = before.supervisor.processor("yard")
    yard.run.end("broken")  # type: ignore[union-attr]
    yard._over("the camera is gone")
    await before.until("yard", "failed")
    await before.close()
    after = await Node(tmp_path, retry_at=Restarts().retry_at).open()
    await after.until("yard", "running")
    await after.desired.settled()
    view = await after.supervisor.view("door")
    assert (view.state, view.message) == ("failed", "Access denied to Kinesis Data")
    await after.supervisor.start("door")
    await after.until("door", "running")
    assert (await after.supervisor.view("door")).message is None
    await after.close()
    last = await Node(tmp_path).open()
    await last.until("door", "running")
    await last.close()


async def test_a_feed_that_gives_nothing_after_a_restart_keeps_its_place(tmp_path: Path) -> None:
    """The broker is away: a kill right after the start, and an orderly end, must not read the log from its beginning."""
    document = config(
        source={"type": "kafka", "bootstrap_servers": "127.0.0.1:9", "topic": "video", "start": "earliest"}
    )
    place = Position({"offsets": {"0": 114}, "clock": FragmentFeed().clock.snapshot()})
    first = await Node(tmp_path).open()
    await first.supervisor.create("door", document)
    sessions = Sessions("door", SessionRules("continuous", None, Fraction(10), ("PERSON",)), "run")
    origin = origin_document(document, StartRequest())
    snapshot = LaneSnapshot(sessions.snapshot(), Fraction(0), Fraction(0), origin, [])
    await first.supervisor.start("door")
    await first.close()
    journal = Journal(Database(tmp_path / "data"))
    journal.commit(Commit("door", checkpoint=Checkpoint(snapshot.encode(), place)))
    node = await Node(tmp_path).open()
    await node.until("door", "running")
    kept = journal.checkpoint("door")
    assert kept is not None and kept.position == place, "as a kill would leave it"
    await node.close()
    kept = journal.checkpoint("door")
    assert kept is not None and kept.position == place, "as an orderly end leaves it"
    journal.database.close()

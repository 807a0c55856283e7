"""The reconciler on real processors. Their source is a WHIP feed that nobody publishes to, so no frame ever asks for a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InUse
from streamproc.live import desired
from streamproc.live.desired import Reconciler
from streamproc.live.supervisor import Supervisor
from streamproc.logic.backoff import BackoffRule
from streamproc.plain import render_plain
from streamproc.store.database import Database


class Owners:
    """Ownership as a cluster would have it: another node's until it is given to this one."""

    def __init__(self) -> None:
        self.away: dict[str, str] = {}
        self._changed: list[Callable[[str], None]] = []

    def elsewhere(self, name: str) -> str | None:
        return self.away.get(name)

    def subscribe(self, changed: Callable[[str], None]) -> None:
        self._changed.append(changed)

    def move(self, name: str, words: str | None) -> None:
        if words is None:
            self.away.pop(name, None)
        else:
            self.away[name] = words
        for changed in self._changed:
            changed(name)


class _Unused:
    """A perceiver that is never given a frame."""

    models: Any = None
    second_look = True

    def pace(self, fps: float) -> None: ...

    def use(self, models: Any) -> None: ...

    def reset(self) -> None: ...

    def snapshot(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None: ...


class NoModels:
    """Stands for the models, which nothing here asks for."""

    def label_perceiver(self, settings: Any) -> Any:
        return _Unused()

    def small_models(self, settings: Any) -> Any:
        return None


def config(**changes: Any) -> ProcessorConfig:
    document = {"source": {"type": "webrtc"}, "labels": {}, "session": {"mode": "continuous"}, **changes}
    return ProcessorConfig.model_validate(document)


class Node:
    def __init__(self, folder: Path, owners: Owners | None = None, **options: Any) -> None:
        database = Database(folder / "data")
        renderers = {"plain": render_plain}
        self.supervisor = Supervisor(NodeConfig(workers=1), folder, database, renderers=renderers, ownership=owners)
        self.supervisor.provider = cast(Any, NoModels())
        self.desired = Reconciler(self.supervisor, **options)
        self.states: list[tuple[str, str]] = []
        self.supervisor.state_listeners.append(self._note)

    def _note(self, name: str) -> None:
        if self.supervisor.known(name):
            self.states.append((name, self.supervisor.processor(name).life.state.value))

    async def open(self) -> Node:
        await self.supervisor.open()
        await self.desired.open()
        return self

    async def close(self, hand_over: bool = False) -> None:
        await self.desired.close()
        await self.supervisor.close(0.1, hand_over=hand_over)

    async def until(self, name: str, state: str | None) -> None:
        async with asyncio.timeout(20):
            while await self.state(name) != state:
                await asyncio.sleep(0.01)

    async def state(self, name: str) -> str | None:
        return (await self.supervisor.view(name)).state if self.supervisor.known(name) else None


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


async def test_a_failed_one_is_started_again_when_the_policy_says_so(tmp_path: Path) -> None:
    node = await Node(tmp_path, retry_at=lambda processor, now: now + 0.05).open()
    refused = {"type": "unbound", "reason": "no such stream"}
    await node.desired.declare("door", config(source=refused))
    async with asyncio.timeout(20):
        while node.states.count(("door", "failed")) < 3:
            await asyncio.sleep(0.01)
    await node.close()


async def test_without_a_policy_it_stays_failed_until_its_file_changes(node: Node) -> None:
    await node.desired.declare("door", config(source={"type": "unbound", "reason": "no such stream"}))
    await node.until("door", "failed")
    await node.desired.settled()
    assert node.states.count(("door", "failed")) == 1
    await node.desired.declare("door", config())
    await node.until("door", "running")


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

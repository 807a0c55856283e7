"""Which processors a node says are its own."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.context import ConnectorContext
from connectors.kafka.slot_group import Assigned, Presence, SlotAssignor, SlotGroup, divide
from streamproc.cluster.directory import NodeFacts
from streamproc.cluster.division import Division
from streamproc.cluster.node import ClusterNode
from streamproc.cluster.slot_processors import SlotProcessors
from streamproc.config.cluster import ClusterSettings, NodePlace


class Known:
    """Stands for a supervisor with these processors, by name what each needs."""

    decisions = SimpleNamespace(forget=lambda name: None)

    def __init__(self, needs: dict[str, dict[str, str]]) -> None:
        self._needs = needs

    def names(self) -> list[str]:
        return sorted(self._needs)

    def known(self, name: str) -> bool:
        return name in self._needs

    def processor(self, name: str) -> Any:
        return SimpleNamespace(config=SimpleNamespace(require=self._needs[name]))


class Rounds:
    """Stands for a group: how often another round was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def divide_anew(self) -> None:
        self.asked += 1


@pytest.fixture
def division() -> Division:
    processors = SlotProcessors(1)
    processors.supervisor = cast("Any", Known({"north": {"site": "north"}, "south": {"site": "south"}}))
    settings = ClusterSettings(name="c", bootstrap_servers="127.0.0.1:9", tags={"site": "south"})
    return Division(settings, NodePlace("a"), ConnectorContext(), processors)


def test_before_the_group_has_answered(division: Division) -> None:
    assert division.elsewhere("north") == "waits for the cluster's brokers: they are being asked"


def test_what_the_owner_says_of_itself_tells_whether_it_knows_a_processor() -> None:
    """Also while this node's own facts are made up, which ask the same of every processor."""
    settings = ClusterSettings(name="c", bootstrap_servers="127.0.0.1:9", partitions=1)
    node = ClusterNode(settings, NodePlace("a"), ConnectorContext())
    node.processors.supervisor = cast("Any", Known({"north": {}, "south": {}}))
    node.division._assigned(Assigned(1, frozenset(), {0: "b"}, {}, {}))
    assert node.facts().processors == () and node.division.elsewhere("south") == "runs on node b"
    told = NodeFacts("b", None, 2.0, "1", slots=(0,), processors=("north",), said=time.time())
    node.directory._take("b", json.dumps(asdict(told)).encode())
    assert node.division.elsewhere("north") == "runs on node b"
    assert str(node.division.elsewhere("south")).startswith("node b is to run it and does not know it")
    assert node.facts().processors == ()


def test_another_node_s_and_nobody_s(division: Division) -> None:
    division._assigned(Assigned(1, frozenset(), {0: "b"}, {}, {}))
    assert division.elsewhere("south") == "runs on node b" and division.owner_of("south") == "b"
    division.leaves_out = lambda node, slot, name: (node, slot, name) == ("b", 0, "south")
    assert division.elsewhere("north") == "runs on node b"
    assert str(division.elsewhere("south")).startswith("node b is to run it and does not know it: put its file")
    division._assigned(Assigned(2, frozenset(), {}, {0: "needs site=north and site=south"}, {}))
    assert division.elsewhere("south") == "no node may run it: needs site=north and site=south"


async def test_a_processor_that_needs_what_this_node_has_not_asks_for_another_round(division: Division) -> None:
    group = Rounds()
    division._group = cast("SlotGroup", group)
    division._assigned(Assigned(1, frozenset({0}), {0: "a"}, {}, {}))
    for _ in range(2):
        division.known("north")
    assert group.asked == 1
    assert division.elsewhere("north") == "waits for a node with site=north"
    assert division.elsewhere("south") == "is about to be taken over by this node"
    for keeper in division.keepers.values():
        keeper.withdrawn()


async def test_a_node_claims_what_it_runs_and_not_what_it_was_only_given(division: Division) -> None:
    """After brokers were away the first that is back is given what the others run still."""
    division._tags = {"site": "north"}
    division._assigned(Assigned(1, frozenset({0}), {0: "a"}, {}, {}))
    first = division._presence()
    assert first.owned == {} and first.costs == {0: 2.0} and first.given == {0}
    back = Presence("b", 4.0, {"site": "north"}, owned={0: 2.0})
    newer = said(a=first, b=back)
    newer["a"]["generation"] = 7
    assert divide(newer, range(1)).slots["b"] == (0,)
    for keeper in division.keepers.values():
        keeper.trouble = "its record is damaged"
    assert not division._presence().given, "another node may be able to"
    for keeper in division.keepers.values():
        keeper.trouble, keeper._commits = "", cast("Any", object())
    assert division._presence().owned == {0: 2.0} and not division._presence().given
    for keeper in division.keepers.values():
        keeper._commits = None
        keeper.withdrawn()


def test_a_round_held_during_a_handover_sends_nothing_back() -> None:
    """A slot has left ``a`` and does not run at ``b`` yet when a third node leaves."""
    documents = said(a=Presence("a", 4.0), b=Presence("b", 4.0, given=frozenset({0})), c=Presence("c", 0.0))
    assert divide(documents, range(1)).slots["b"] == (0,)
    del documents["b"]["given"]
    assert divide(documents, range(1)).slots["a"] == (0,), "as an earlier version does"


def said(**presences: Presence) -> dict[str, Any]:
    """What members of these names say of themselves."""
    return {
        name: json.loads(SlotAssignor(partial(presences.__getitem__, name)).metadata(["t"]).user_data)
        for name in presences
    }


NORTH, SOUTH = frozenset({("site", "north")}), frozenset({("site", "south")})


async def test_of_contradictory_needs_in_a_slot_those_of_more_processors_are_met(division: Division) -> None:
    needs = {0: {NORTH: 1, SOUTH: 2, frozenset[tuple[str, str]](): 1}}
    north, south = (Presence(site, 4.0, {"site": site}, requires=needs) for site in ("north", "south"))
    found = divide(said(n=north, s=south), range(1))
    assert (found.slots["s"], found.untaken, found.partly) == ((0,), {}, {0: SOUTH})
    alone = divide(said(n=north), range(1))
    assert (alone.slots["n"], alone.partly) == ((0,), {0: NORTH}), "one that lives is better than none"
    neither = divide(said(w=Presence("west", 4.0, {"site": "west"}, requires=needs)), range(1))
    assert (neither.slots["w"], neither.partly) == ((0,), {0: frozenset()}), "what needs nothing runs anywhere"
    for mine, owner in ((frozenset({0}), "a"), (frozenset[int](), "b")):
        division._assigned(Assigned(1, mine, {0: owner}, {}, {0: SOUTH}))
        assert "those that need site=south run: give it another name" in str(division.elsewhere("north"))
        assert "another name" not in str(division.elsewhere("south"))
    for keeper in division.keepers.values():
        keeper.withdrawn()


def test_a_member_of_an_earlier_version_says_what_all_processors_of_a_slot_need_together() -> None:
    documents = said(n=Presence("north", 4.0, {"site": "north"}, requires={0: {NORTH: 1}}), s=Presence("south", 4.0))
    del documents["n"]["needs"]
    assert divide(documents, range(1)).slots["n"] == (0,)


async def test_what_a_death_leaves_uneven_is_levelled_later_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.kafka.slot_group.AIOKafkaConsumer", lambda **options: SimpleNamespace())
    monkeypatch.setattr("connectors.kafka.slot_group.LEVEL_S", 0.0)
    settings = ClusterSettings(name="c", bootstrap_servers="127.0.0.1:9").connection("processors")
    group = SlotGroup(settings, ConnectorContext(), lambda: Presence("a", 4.0), lambda found: None)
    asked: list[None] = []
    monkeypatch.setattr(group, "divide_anew", lambda: asked.append(None))
    topic = SimpleNamespace(partitions_for_topic=lambda name: range(5))

    async def divided(a: set[int], b: set[int]) -> None:
        """A round of which this node is the leader."""
        costs = dict.fromkeys(range(5), 1.0)
        owned = {name: dict.fromkeys(slots, 1.0) for name, slots in (("a", a), ("b", b))}
        documents = said(**{name: Presence(name, 4.0, owned=slots, costs=costs) for name, slots in owned.items()})
        group._assignor.metadata(["t"])
        group._assignor.assign(topic, {name: member(document) for name, document in documents.items()})
        await group.on_partitions_assigned([])

    await divided({0, 1, 2, 3}, set())
    await divided({0, 1, 2, 3}, set())  # a second death meanwhile: what was planned after the first is not done as well
    assert not asked
    await asyncio.sleep(0.05)
    assert len(asked) == 1
    await divided({0, 1, 2, 3}, {4})
    await asyncio.sleep(0.05)
    assert len(asked) == 1, "nobody was gone: that round has levelled"


def member(document: dict[str, Any]) -> Any:
    return SimpleNamespace(subscription=["t"], user_data=json.dumps(document).encode())


def test_slots_that_nobody_has_yet_are_spread_by_what_is_in_them() -> None:
    members = ("a", "b", "c")
    presence = {name: Presence(name, 4.0, costs=dict.fromkeys((12, 13, 14), 1.0)) for name in members}
    found = divide(said(**presence), range(16)).slots
    assert [len({12, 13, 14} & set(found[name])) for name in members] == [1, 1, 1]

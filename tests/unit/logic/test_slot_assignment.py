"""Which node takes which slots: properties over generated clusters, and the cases that people meet."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.logic.fair_levels import Class, fair_loads
from streamproc.logic.slot_assignment import MIN_COST, TOLERANCE, Assignment, Member, Slot, assign, fits

SITES = ("north", "south", "west")
NORTH, SOUTH = (frozenset({("site", site)}) for site in ("north", "south"))


def nodes(*capacities: float, **tags: str) -> list[Member]:
    return [Member(f"node-{number}", capacity, tags) for number, capacity in enumerate(capacities)]


def even(count: int, cost: float = 1.0, requires: frozenset[tuple[str, str]] = frozenset()) -> list[Slot]:
    return [Slot(number, cost, requires) for number in range(count)]


def settle(members: list[Member], slots: list[Slot], generation: int = 1) -> list[Member]:
    """The members as they are after a round."""
    had = assign(members, slots).slots
    return [replace(member, owned=frozenset(had[member.id]), generation=generation) for member in members]


def counts(assignment: Assignment) -> list[int]:
    return [len(mine) for _, mine in sorted(assignment.slots.items())]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Member], list[Slot]]:
    """Any cluster, settled or not: tags, leaving members, claims that contradict each other or are out of date."""
    site = st.one_of(st.just({}), st.sampled_from(SITES).map(lambda name: {"site": name}))
    need = st.one_of(st.just(frozenset()), st.sampled_from(SITES).map(lambda name: frozenset({("site", name)})))
    slots = [
        Slot(number, draw(st.sampled_from((0.0, 0.013, 0.2, 0.5, 1.0, 3.7))), draw(need))
        for number in range(draw(st.integers(0, 24)))
    ]
    members = [
        Member(
            f"node-{number}",
            draw(st.sampled_from((0.0, 1.0, 2.0, 4.0, 16.0))),
            draw(site),
            frozenset(draw(st.sets(st.integers(0, 25)))),
            draw(st.integers(-1, 3)),
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    return members, slots


@st.composite
def fine_clusters(draw: st.DrawFn) -> tuple[list[Member], list[Slot]]:
    """Without tags, and with slots that are small beside what each member should have."""
    members = [Member(f"node-{number}", draw(st.floats(1, 3))) for number in range(draw(st.integers(1, 5)))]
    slots = [Slot(number, draw(st.floats(0.2, 1.0))) for number in range(len(members) * 60)]
    return members, slots


@given(clusters())
def test_every_slot_that_can_be_taken_is_owned_once_by_one_who_may(cluster: tuple[list[Member], list[Slot]]) -> None:
    members, slots = cluster
    found = assign(members, slots)
    by_id = {member.id: member for member in members}
    assert found.slots.keys() == by_id.keys()
    owned = [number for mine in found.slots.values() for number in mine]
    assert sorted([*owned, *found.untaken]) == [slot.number for slot in slots], "each once, owned or named"
    for name, mine in found.slots.items():
        assert all(fits(by_id[name], slots[number]) for number in mine)
    for number in found.untaken:
        assert not any(fits(member, slots[number]) for member in members)


@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_the_arguments_decides_nothing(cluster: tuple[list[Member], list[Slot]], random: object) -> None:
    members, slots = cluster
    shuffled = (list(members), list(slots))
    for each in shuffled:
        random.shuffle(each)  # type: ignore[attr-defined]
    assert assign(*shuffled) == assign(members, slots)


@given(clusters())
def test_a_settled_cluster_stays_as_it_is(cluster: tuple[list[Member], list[Slot]]) -> None:
    members, slots = cluster
    once = settle(settle(members, slots), slots, 2)
    found = assign(once, slots)
    assert not found.moved
    assert {member.id: tuple(sorted(member.owned)) for member in once} == found.slots


@given(clusters(), st.data())
def test_a_death_moves_no_slot_of_a_survivor(cluster: tuple[list[Member], list[Slot]], data: st.DataObject) -> None:
    members, slots = cluster
    before = settle(members, slots)
    with_slots = [member for member in before if member.owned]
    if not with_slots:
        return
    dead = data.draw(st.sets(st.sampled_from([member.id for member in with_slots]), min_size=1))
    survivors = [member for member in before if member.id not in dead]
    lost = {number for member in before if member.id in dead for number in member.owned}
    found = assign(survivors, slots)
    if lost <= found.untaken.keys():
        return  # nobody can take anything of the dead: a round like any other
    assert not found.moved
    for member in survivors:
        assert member.owned <= set(found.slots[member.id])


@settings(max_examples=60)
@given(fine_clusters())
def test_loads_are_level_by_capacity(cluster: tuple[list[Member], list[Slot]]) -> None:
    members, slots = cluster
    found = assign(members, slots)
    total, capacity = sum(slot.cost for slot in slots), sum(member.capacity for member in members)
    for member in members:
        load = sum(slots[number].cost for number in found.slots[member.id])
        assert load / member.capacity == pytest.approx(total / capacity, rel=TOLERANCE + 0.02), (
            "costs count by the hundredth"
        )
    assert found.imbalance <= TOLERANCE


@settings(max_examples=60)
@given(fine_clusters(), st.floats(1, 3))
def test_a_newcomer_gets_its_share_and_no_slot_moves_for_nothing(
    cluster: tuple[list[Member], list[Slot]], capacity: float
) -> None:
    members, slots = cluster
    before = settle(members, slots)
    newcomer = Member("newcomer", capacity)
    found = assign([*before, newcomer], slots)
    assert found.imbalance <= TOLERANCE
    assert set(found.moved) == set(found.slots["newcomer"]), "nothing moved between those who were there"
    least = math.ceil((1 - TOLERANCE) * capacity / (sum(member.capacity for member in members) + capacity)
                      * sum(slot.cost for slot in slots) / max(slot.cost for slot in slots) - 1)  # fmt: skip
    assert len(found.moved) >= least
    everybody = [*before, newcomer]
    for number in found.moved:
        assert _off_without(found, everybody, slots, number), f"slot {number} moved for nothing"


def _off_without(found: Assignment, members: list[Member], slots: list[Slot], number: int) -> bool:
    """Whether somebody would be out of tolerance if the slot were where it was before."""
    fair = sum(slot.cost for slot in slots) / sum(member.capacity for member in members)
    for member in members:
        mine = set(found.slots[member.id]) - {number} | ({number} & member.owned)
        deviation = sum(slots[each].cost for each in mine) / member.capacity / fair - 1
        if abs(deviation) > TOLERANCE - 0.02:  # costs count by the hundredth
            return True
    return False


@given(st.integers(1, 5), st.integers(0, 7), st.data())
def test_moves_of_even_slots_are_as_few_as_can_be(count: int, size: int, data: st.DataObject) -> None:
    """Against every division of the slots: none as level is reached with fewer moves."""
    members = [
        replace(member, owned=frozenset(), generation=0)
        for member in nodes(*(data.draw(st.sampled_from((1.0, 2.0))) for _ in range(min(count, 3))))
    ]
    places = [data.draw(st.integers(0, len(members) - 1)) for _ in range(size)]
    members = [
        replace(member, owned=frozenset(number for number, place in enumerate(places) if place == index))
        for index, member in enumerate(members)
    ]
    found = assign(members, even(size))
    fair = [member.capacity * size / sum(each.capacity for each in members) for member in members]

    def badness(tally: list[int]) -> float:
        return sum(
            (have - want) ** 2 / member.capacity for have, want, member in zip(tally, fair, members, strict=True)
        )

    ours = badness(counts(found))
    for other in itertools.product(range(len(members)), repeat=size):
        moves = sum(now != before for now, before in zip(other, places, strict=True))
        if moves < len(found.moved):
            assert badness([other.count(index) for index in range(len(members))]) > ours + 1e-9


def test_weights_two_two_one() -> None:
    assert counts(assign(nodes(2, 2, 1), even(64))) == [26, 25, 13]


def test_nodes_that_come_one_after_the_other_share_alike() -> None:
    members: list[Member] = []
    for number in range(4):
        members = settle([*members, Member(f"node-{number}", 4.0)], even(64, 0.3), number)
    assert all(abs(len(member.owned) - 16) <= 1.6 for member in members)


def test_slots_without_processors_are_spread_too() -> None:
    busy = [Slot(number, 0.5 if number < 3 else 0.0) for number in range(64)]
    found = assign(nodes(1, 1, 1), busy)
    assert all(len({0, 1, 2} & set(mine)) == 1 for mine in found.slots.values()), "a camera each"
    assert max(counts(found)) - min(counts(found)) <= 2, "and of the rest as many"


def test_a_node_that_leaves_keeps_nothing() -> None:
    members = settle(nodes(4, 4, 4), even(64, 0.2))
    members[0] = replace(members[0], capacity=0)
    found = assign(members, even(64, 0.2))
    assert found.slots["node-0"] == () and counts(found) == [0, 32, 32]
    assert not found.moved, "what it had could not have stayed"


def test_what_a_death_leaves_uneven_the_next_round_levels() -> None:
    """One dies while another comes: the newcomer gets what the dead had, and a share of the survivor's in the next round."""
    survivor = Member("survivor", 4, owned=frozenset(range(18)))
    first = assign([survivor, Member("newcomer", 4)], even(24))
    assert not first.moved and counts(first) == [6, 18] and first.imbalance == 0.5
    both = [Member(name, 4, owned=frozenset(mine)) for name, mine in first.slots.items()]
    second = assign(both, even(24))
    assert second.imbalance <= TOLERANCE and len(second.moved) == 5


def test_tags_are_honoured_and_what_nobody_has_is_said() -> None:
    members = [Member("a", 4, {"site": "north"}), Member("b", 4, {"site": "south"}), Member("c", 4)]
    slots = [
        Slot(0, 1, NORTH),
        Slot(1, 1, SOUTH),
        Slot(2, 1, NORTH | SOUTH),
        Slot(3, 1),
        Slot(4, 1, frozenset({("gpu", "yes")})),
    ]
    found = assign(members, slots)
    assert (found.slots["a"], found.slots["b"], found.slots["c"]) == ((0,), (1,), (3,))
    assert found.untaken == {
        2: "its processors need a node with site=north and site=south, and there is none",
        4: "its processors need a node with gpu=yes, and there is none",
    }


def test_what_few_may_take_displaces_what_all_may() -> None:
    """All cameras of the north are on one node that therefore gives the rest away."""
    members = settle([Member("a", 4, {"site": "north"}), Member("b", 4)], even(20))
    slots = [replace(slot, requires=NORTH if slot.number < 10 else frozenset()) for slot in even(20)]
    for generation in range(2, 5):
        members = settle(members, slots, generation)
    assert members[0].owned >= set(range(10))
    assert len(members[0].owned) <= 11 and members[1].owned <= set(range(10, 20))


def test_a_site_with_too_much_to_do_gives_nothing_to_who_cannot_reach_it() -> None:
    members = [
        Member("n1", 4, {"site": "north"}),
        Member("n2", 4, {"site": "north"}),
        Member("s", 4, {"site": "south"}),
    ]
    slots = [*even(20, 1.0, NORTH), Slot(20, 1.0), Slot(21, 1.0)]
    found = assign(members, slots)
    assert counts(found) == [10, 10, 2] and found.imbalance == 0


def test_of_two_who_claim_a_slot_the_newer_generation_is_believed() -> None:
    """A node that was stopped for a minute comes back and believes that it still has what it had."""
    zombie = Member("a", 4, owned=frozenset({0, 1}), generation=7)
    owner = Member("b", 4, owned=frozenset({0, 1, 2}), generation=8)
    other = Member("c", 4, owned=frozenset({3}), generation=8)
    found = assign([zombie, owner, other], even(6, 0.5))
    assert set(found.slots["b"]) >= {0, 1, 2}
    assert set(found.slots["c"]) >= {3}


def test_who_is_about_to_take_a_slot_keeps_it_where_nobody_holds_it() -> None:
    """A round that is held during a hand-over sends nothing back; after an outage the first that is back was given all, and the others hold theirs."""
    giver, taker = Member("a", 4, generation=7), Member("b", 4, given=frozenset({0, 1}), generation=8)
    assert assign([giver, taker], even(1, 0.5)).slots == {"a": (), "b": (0,)}
    holder = Member("a", 4, owned=frozenset({1}), generation=7)
    assert assign([holder, taker], even(2, 0.5)).slots == {"a": (1,), "b": (0,)}
    late = Member("c", 4, given=frozenset({0}), generation=9)
    assert assign([giver, taker, late], even(1, 0.5)).slots["c"] == (0,)


def test_a_slot_whose_need_changed_goes_where_it_can_be_met() -> None:
    members = settle([Member("a", 4), Member("b", 4, {"site": "north"})], even(2))
    held = next(iter(members[0].owned))
    slots = [replace(slot, requires=NORTH if slot.number == held else frozenset()) for slot in even(2)]
    assert held in assign(members, slots).slots["b"]


def test_nobody_is_there() -> None:
    assert assign([], even(2)).untaken == dict.fromkeys((0, 1), "no node takes anything at the moment")
    assert assign(nodes(0.0), even(1)).slots == {"node-0": ()}
    assert assign(nodes(1.0), []).slots == {"node-0": ()}


def test_a_large_cluster_is_decided_while_a_heartbeat_waits() -> None:
    """A thousand slots over a hundred nodes of four kinds; the worst round, from one node to all of them, is decided too."""
    slots = [Slot(number, 0.4 + (number * 37 % 100) / 100) for number in range(1024)]
    members = settle(nodes(*(4.0 + 4 * (number % 4) for number in range(100))), slots)
    found = assign(members[1:], slots)
    assert not found.moved and found.imbalance < 0.5
    alone = settle(nodes(4.0), slots)
    assert assign([*alone, *nodes(*[4.0] * 20)[1:]], slots).imbalance <= TOLERANCE


@given(st.lists(st.floats(1, 8), min_size=1, max_size=5), st.data())
def test_fair_loads_ease_nobody_at_no_cost(capacities: list[float], data: st.DataObject) -> None:
    """At the optimum a class lies only on those of its members whose level is lowest."""
    places = st.frozensets(st.integers(0, len(capacities) - 1), min_size=1)
    classes = [Class(amount, data.draw(places)) for amount in data.draw(st.lists(st.floats(0.1, 9), max_size=4))]
    loads = fair_loads(capacities, classes)
    assert sum(loads) == pytest.approx(sum(each.amount for each in classes))
    levels = [load / capacity for load, capacity in zip(loads, capacities, strict=True)]
    for each in classes:
        lowest = min(levels[place] for place in each.fitting)
        alone = {place for place in each.fitting if levels[place] > lowest + 1e-3}
        others = [other for other in classes if other is not each]
        for place in alone:  # who stands higher carries what others put there
            assert any(place in other.fitting for other in others)


def test_costs_count_by_the_hundredth_of_a_core() -> None:
    assert counts(assign(nodes(1, 1), [Slot(number, MIN_COST / 3) for number in range(10)])) == [5, 5]

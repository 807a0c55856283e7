"""Which node takes which slots: level by capacity, within what tags allow, with as little moved as can be.

A slot is a share of the processors (one partition of the cluster's log). Everything here is decided from the arguments alone, in the same way on every node, so
whichever member a group's coordinator asks answers alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from streamproc.logic.fair_levels import Class, fair_loads

TOLERANCE = 0.1
"""A node whose load is this share above or below what it should have is level enough to be left in peace."""
MIN_COST = 0.01
"""CPU cores that a slot counts as at least: slots without processors are spread too, as those to come will be."""

_HELPS = 1e-9
"""A move is worth it that makes things better by more than rounding."""

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """One node as it presents itself to its group."""

    id: str
    """Unique in the group."""
    capacity: float
    """CPU cores for analysis. Zero or less: it takes nothing and keeps nothing (it is about to leave)."""
    tags: Tags = field(default_factory=dict)
    owned: frozenset[int] = frozenset()
    """Slots it holds now."""
    generation: int = -1
    """Of the group when it was last assigned these. Of two who claim a slot the one with the newer generation is believed."""
    given: frozenset[int] = frozenset()
    """Slots that it was assigned and is about to take over: its own where nobody holds them, so that another round sends nothing back and forth."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What is known of a slot."""

    number: int
    cost: float = 0.0
    """CPU cores that its processors use, measured."""
    requires: frozenset[tuple[str, str]] = frozenset()
    """Tags that all its processors together need of a node: pairs of key and value."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has what from now on."""

    slots: dict[str, tuple[int, ...]]
    """By member id, ascending; every member is there."""
    untaken: dict[int, str]
    """Slots that nobody may take, and why, for people."""
    moved: tuple[int, ...]
    """Slots that leave a member who stays and could have kept them."""
    placed: bool
    """Whether slots of nobody were given to somebody."""
    imbalance: float
    """Largest deviation of a member's load from what it should have, as a share of the latter. 0.1 is level enough; more is left where slots are too
    large to be spread better, and in the round that places the slots of who is gone (the next round levels)."""


def assign(members: Iterable[Member], slots: Iterable[Slot]) -> Assignment:
    """The slots of every member.

    - A member keeps what it has up to what it should have; only what is above is moved.
    - While there are slots of nobody (a member is gone), those are placed and nothing else moves: a death disturbs no survivor. Where that leaves
      the loads uneven the next call levels them.
    - A slot whose tags no member has stays without one and is named in ``untaken``.
    """
    board = _Board(sorted(members, key=lambda member: member.id), sorted(slots, key=lambda slot: slot.number))
    orphans = board.keep()
    kept = dict(board.owner)
    board.place(orphans)
    board.level(set(orphans) or set(kept))
    moved = tuple(number for number, place in sorted(kept.items()) if board.owner[number] != place)
    return Assignment(board.by_member(), board.untaken, moved, bool(orphans), board.imbalance())


def needed(needs: Mapping[frozenset[tuple[str, str]], int], tags: Sequence[Tags]) -> frozenset[tuple[str, str]]:
    """What a node must have to take a slot whose processors need these (and how many of them need each), where nodes have such ``tags``.

    All of it, where a node has all of it. Else as many of the processors as can be are run, and the others wait; where nobody could run any, all of it.
    """
    everything = frozenset(pair for need in needs for pair in need)
    options = {frozenset(pair for pair in everything if pair in each.items()) for each in tags}
    if not options or everything in options:
        return everything
    served = {option: sum(count for need, count in needs.items() if need <= option) for option in options}
    best = max(options, key=lambda option: (served[option], -len(option), sorted(option)))
    # Only what those need that are run there: another node that has no more than that may have it as well.
    return frozenset(pair for need in needs if need <= best for pair in need) if served[best] else everything


def fits(member: Member, slot: Slot) -> bool:
    """Whether the member may have the slot at all."""
    return member.capacity > 0 and all(member.tags.get(key) == value for key, value in slot.requires)


Move = list[tuple[int, int]]
"""Slots and the places of the members that get them."""


class _Board:
    """The state of one decision. Members are named by their places in the sorted list."""

    def __init__(self, members: Sequence[Member], slots: Sequence[Slot]) -> None:
        self.members = members
        self.slots = {slot.number: slot for slot in slots}
        self.cost = {slot.number: max(round(slot.cost, 2), MIN_COST) for slot in slots}
        self.owner: dict[int, int] = {}
        self.load = [0.0] * len(members)
        self._fitting = {need: self._who_fits(need) for need in {slot.requires for slot in slots}}
        self.fair = fair_loads([member.capacity for member in members], self._classes())
        self.untaken = {
            slot.number: self._why_untaken(slot.requires) for slot in slots if not self._fitting[slot.requires]
        }

    def keep(self) -> list[int]:
        """Believe the newest claim to each slot: of those who hold it, else of those who are about to. Returns the slots of nobody that
        somebody may have."""
        claims: dict[int, tuple[bool, int, int]] = {}
        for place, member in enumerate(self.members):
            for number in (member.owned | member.given) & self.slots.keys():
                if place in self._who(number):
                    claim = number in member.owned, member.generation, -place
                    claims[number] = max(claims.get(number, claim), claim)
        for number in sorted(claims):
            self._give(number, -claims[number][2])
        return [number for number in self.slots if number not in self.owner and number not in self.untaken]

    def place(self, orphans: Sequence[int]) -> None:
        """Give each to where it does most good: first what few may take, then the dearest."""
        for number in sorted(orphans, key=lambda each: (len(self._who(each)), -self.cost[each], each)):
            worse = {place: round(self._worse(place, self.cost[number]), 9) for place in self._who(number)}
            self._give(number, min(worse, key=lambda place: (worse[place], place)))

    def level(self, movable: set[int]) -> None:
        """Move slots of ``movable``, each time what helps most whoever is farthest off, until all are within the tolerance or nothing helps."""
        while off := self._out_of_tolerance():
            groups = self._groups(movable)
            moves = (self._single(place, groups) or self._swap(place, groups) for place in off)
            best = next((move for move in moves if move), None)
            if best is None:
                return
            for number, target in best:
                self.load[self.owner[number]] -= self.cost[number]
                self._give(number, target)

    def by_member(self) -> dict[str, tuple[int, ...]]:
        lists: list[list[int]] = [[] for _ in self.members]
        for number, place in sorted(self.owner.items()):
            lists[place].append(number)
        return {member.id: tuple(mine) for member, mine in zip(self.members, lists, strict=True)}

    def imbalance(self) -> float:
        return max((self._deviation(place) for place in range(len(self.members))), default=0.0)

    # -- who may

    def _who(self, number: int) -> frozenset[int]:
        return self._fitting[self.slots[number].requires]

    def _who_fits(self, requires: frozenset[tuple[str, str]]) -> frozenset[int]:
        pattern = Slot(0, requires=requires)
        return frozenset(place for place, member in enumerate(self.members) if fits(member, pattern))

    def _classes(self) -> list[Class]:
        costs: defaultdict[frozenset[int], float] = defaultdict(float)
        for number, cost in self.cost.items():
            costs[self._who(number)] += cost
        return [Class(cost, fitting) for fitting, cost in sorted(costs.items(), key=lambda item: sorted(item[0]))]

    def _why_untaken(self, requires: frozenset[tuple[str, str]]) -> str:
        if not any(member.capacity > 0 for member in self.members):
            return "no node takes anything at the moment"
        words = " and ".join(f"{key}={value}" for key, value in sorted(requires))
        return f"its processors need a node with {words}, and there is none"

    # -- how level it is

    def _give(self, number: int, place: int) -> None:
        self.owner[number] = place
        self.load[place] += self.cost[number]

    def _deviation(self, place: int) -> float:
        fair = self.fair[place]
        return round(abs(self.load[place] - fair) / fair, 9) if fair > 0 else 0.0

    def _out_of_tolerance(self) -> list[int]:
        """The farthest first."""
        off = [place for place in range(len(self.members)) if self._deviation(place) > TOLERANCE]
        return sorted(off, key=lambda place: (-self._deviation(place), place))

    def _worse(self, place: int, change: float) -> float:
        """What a change of a member's load adds to the sum of squared deviations."""
        off = self.load[place] - self.fair[place]
        return ((off + change) ** 2 - off**2) / self.members[place].capacity

    # -- moves

    def _groups(self, movable: set[int]) -> list[int]:
        """One slot for each owner, cost and need: the others are as good."""
        firsts: dict[tuple[int, float, frozenset[int]], int] = {}
        for number in sorted(movable):
            firsts.setdefault((self.owner[number], self.cost[number], self._who(number)), number)
        return list(firsts.values())

    def _single(self, place: int, groups: Sequence[int]) -> Move | None:
        """The slot that leaves or joins the member with the best effect."""
        options: list[tuple[float, int, int]] = []
        over = self.load[place] > self.fair[place]
        for number in groups:
            owner, cost = self.owner[number], self.cost[number]
            if over == (owner == place):
                targets = (self._who(number) if over else self._who(number) & {place}) - {owner}
                options += [(self._worse(owner, -cost) + self._worse(to, cost), number, to) for to in targets]
        effect, number, target = min(options, default=(0.0, 0, 0))
        return [(number, target)] if effect < -_HELPS else None

    def _swap(self, place: int, groups: Sequence[int]) -> Move | None:
        """The exchange of one slot each with the best effect, where no single slot helps."""
        options: list[tuple[float, int, int, int]] = []
        for mine in (number for number in groups if self.owner[number] == place):
            for other in (number for number in groups if self.owner[number] != place):
                owner, more = self.owner[other], self.cost[other] - self.cost[mine]
                if more and owner in self._who(mine) and place in self._who(other):
                    options.append((self._worse(place, more) + self._worse(owner, -more), mine, other, owner))
        effect, mine, other, owner = min(options, default=(0.0, 0, 0, 0))
        return [(mine, owner), (other, place)] if effect < -_HELPS else None

"""A cluster of 5,000 streams on 100 nodes, simulated: state traffic, restore times, rebalance storms, imbalance.

The real assignor decides every round (``streamproc/logic/slot_assignment.py``); its CPU time is measured here. What a broker and a network take are
arguments: the defaults are upper bounds measured with one broker on a loaded machine of two cores. A plain division by number (slot modulo
nodes, what a round-robin assignor gives) stands beside it, to show what stickiness is worth.

A group's coordinator waits for its members in each round, so whoever comes or goes while a round runs is part of the next one. A slot that changes
hands costs its streams a pause: fence its producer, read its state back, connect.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.common import parser, percentile, progress, report
from streamproc.logic.slot_assignment import TOLERANCE, Assignment, Member, Slot, assign

SEED = 20
CORES = (4.0, 8.0, 16.0)
IDLE_CORES, BUSY_CORES = 0.01, 0.12
"""What a camera costs on which nothing moves, and one on which somebody always does (``benchmarks.cameras_idle``, ``cameras_busy``)."""
BUSY_SHARE = 0.15

Assignor = Callable[[Iterable[Member], Iterable[Slot]], Assignment]


def by_number(members: Iterable[Member], slots: Iterable[Slot]) -> Assignment:
    """Slot modulo nodes: what knows neither weights nor who had what."""
    crowd = sorted(members, key=lambda member: member.id)
    listed = list(slots)
    had = {number: member.id for member in crowd for number in member.owned}
    slots_of: dict[str, list[int]] = {member.id: [] for member in crowd}
    for slot in listed:
        slots_of[crowd[slot.number % len(crowd)].id].append(slot.number)
    moved = tuple(number for name, mine in slots_of.items() for number in mine if had.get(number) not in (None, name))
    cost = {slot.number: slot.cost for slot in listed}
    fair = sum(cost.values()) / sum(member.capacity for member in crowd)
    loads = [sum(cost[number] for number in slots_of[member.id]) / member.capacity / fair - 1 for member in crowd]
    return Assignment({name: tuple(mine) for name, mine in slots_of.items()}, {}, moved, False, max(map(abs, loads)))


@dataclass
class Cluster:
    """Nodes, slots and what has happened to them so far."""

    slots: list[Slot]
    assignor: Assignor
    members: dict[str, Member] = field(default_factory=dict)
    rounds: int = 0
    handed: Counter[int] = field(default_factory=Counter)
    """How often each slot changed hands."""
    survivors_moved: int = 0
    """Slots taken from a member who stayed while others' had to be placed."""
    imbalance: float = 0.0
    placed: bool = False
    """Whether the last round placed slots of nobody."""
    assign_s: list[float] = field(default_factory=list)

    def come(self, names: Iterable[str], cores: dict[str, float]) -> None:
        self.members |= {name: Member(name, cores[name]) for name in names}

    def go(self, names: Iterable[str]) -> None:
        for name in names:
            self.members.pop(name, None)

    def round(self) -> Assignment:
        """One rebalance."""
        owner = {number: name for name, member in self.members.items() for number in member.owned}
        began = time.thread_time()
        found = self.assignor(self.members.values(), self.slots)
        self.assign_s.append(time.thread_time() - began)
        self.rounds += 1
        self.placed = len(owner) < len(self.slots)
        for name, mine in found.slots.items():
            for number in mine:
                if owner.get(number) != name:
                    self.handed[number] += 1
                    self.survivors_moved += self.placed and number in owner
            self.members[name] = replace(self.members[name], owned=frozenset(mine), generation=self.rounds)
        self.imbalance = found.imbalance
        return found

    def settle(self) -> None:
        """Rounds until the loads are level or nothing moves, as the group's leader asks for them."""
        for _ in range(10):
            found = self.round()
            if found.imbalance <= TOLERANCE or not (found.moved or self.placed) or self.assignor is by_number:
                return

    def row(self) -> dict[str, Any]:
        handed = sum(self.handed.values())
        return {
            "rounds": self.rounds,
            "handed_over": handed,
            "share_of_slots": round(handed / len(self.slots), 2),
            "survivors_moved": self.survivors_moved,
            "imbalance": round(self.imbalance, 3),
            "assign_ms": round(1000 * max(self.assign_s, default=0.0), 1),
        }


def streams_of(options: argparse.Namespace, chance: random.Random) -> list[Slot]:
    """The streams by slot: where a name falls is chance, as with a hash."""
    cost: defaultdict[int, float] = defaultdict(float)
    for _ in range(options.streams):
        cost[chance.randrange(options.slots)] += BUSY_CORES if chance.random() < BUSY_SHARE else IDLE_CORES
    return [Slot(number, cost[number]) for number in range(options.slots)]


class Scenarios:
    """Each begins with a settled cluster of all nodes and ends with one."""

    def __init__(self, options: argparse.Namespace, assignor: Assignor) -> None:
        self._assignor = assignor
        self._chance = random.Random(SEED)
        self._cores = {f"node-{number:03}": self._chance.choice(CORES) for number in range(options.nodes)}
        self._slots = streams_of(options, self._chance)
        self.round_s = options.round_s

    def settled(self) -> Cluster:
        cluster = Cluster(self._slots, self._assignor)
        cluster.come(self._cores, self._cores)
        cluster.settle()
        return Cluster(self._slots, self._assignor, cluster.members, imbalance=cluster.imbalance)

    def one_dies(self) -> Cluster:
        cluster = self.settled()
        cluster.go(self._chance.sample(sorted(self._cores), 1))
        cluster.round()
        return cluster

    def rack_dies(self) -> Cluster:
        cluster = self.settled()
        cluster.go(self._chance.sample(sorted(self._cores), len(self._cores) // 10))
        cluster.settle()
        return cluster

    def one_comes(self) -> Cluster:
        cluster = self.settled()
        cluster.come(["node-new"], {"node-new": 8.0})
        cluster.settle()
        return cluster

    def all_start(self) -> Cluster:
        """Within a minute, at random; each round takes in who has come meanwhile."""
        cluster = Cluster(self._slots, self._assignor)
        arrivals = sorted((self._chance.uniform(0, 60), name) for name in self._cores)
        now = arrivals[0][0]
        while arrivals:
            now = max(now, arrivals[0][0]) + self.round_s
            cluster.come([name for at, name in arrivals if at <= now], self._cores)
            arrivals = [(at, name) for at, name in arrivals if at > now]
            cluster.round()
        cluster.settle()
        return cluster

    def rolling_upgrade(self) -> Cluster:
        """Each node leaves and comes back, one after the other."""
        cluster = self.settled()
        for name in sorted(self._cores):
            cluster.go([name])
            cluster.round()
            cluster.come([name], self._cores)
            cluster.settle()
        return cluster

    def one_flaps(self) -> Cluster:
        """Ten times gone and back."""
        cluster = self.settled()
        name = self._chance.choice(sorted(self._cores))
        for _ in range(10):
            cluster.go([name])
            cluster.round()
            cluster.come([name], self._cores)
            cluster.settle()
        return cluster

    def a_day(self) -> Cluster:
        """Costs change: each hour a tenth of the streams falls asleep or wakes; the leader levels when it is off."""
        cluster = self.settled()
        for _ in range(24):
            chosen = set(self._chance.sample(range(len(self._slots)), len(self._slots) // 10))
            cluster.slots = [
                replace(slot, cost=slot.cost * self._chance.choice((0.3, 1.0, 2.0))) if slot.number in chosen else slot
                for slot in cluster.slots
            ]
            cluster.settle()
        return cluster


WHAT: dict[str, str] = {
    "one_dies": "one node of all dies",
    "rack_dies": "a tenth of the nodes dies at once",
    "one_comes": "one more node comes",
    "all_start": "all start within a minute",
    "rolling_upgrade": "rolling upgrade of all",
    "one_flaps": "one comes and goes ten times",
    "a_day": "a day of changing costs",
}


def restores(
    options: argparse.Namespace, cluster: Cluster, had: dict[str, frozenset[int]], streams: Counter[int]
) -> dict[str, float]:
    """How long the slots of who is gone stay without an owner after their new ones know: a node fences and reads ``--side-by-side`` of them at a time."""
    slot_s: list[float] = []
    node_s: list[float] = []
    for name, member in cluster.members.items():
        clocks = [0.0] * options.side_by_side
        for number in sorted(member.owned - had[name]):
            payload = streams[number] * options.state_bytes * options.uncompacted
            took = (options.fence_ms + options.fetch_ms) / 1000 + payload / (options.read_mb_s * 1e6)
            slot_s.append(took)
            clocks[clocks.index(min(clocks))] += took
        node_s.append(max(clocks))
    return {"slot_p95_ms": 1000 * (percentile(slot_s, 0.95) or 0.0), "last_s": max(node_s)}


def traffic(options: argparse.Namespace, cluster: Cluster, streams: Counter[int]) -> dict[str, float]:
    """Lane state that goes to the brokers while nothing happens."""
    each = options.state_bytes / options.interval_s
    nodes = [sum(streams[number] for number in member.owned) * each for member in cluster.members.values()]
    return {
        "all_mb_s": sum(nodes) / 1e6,
        "node_kb_s": max(nodes) / 1e3,
        "transactions_s": options.streams / options.interval_s,
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--streams", type=int, default=5000)
    made.add_argument("--nodes", type=int, default=100)
    made.add_argument("--slots", type=int, default=1024)
    made.add_argument("--state-bytes", type=int, default=3000, help="of a lane's state record")
    made.add_argument(
        "--interval-s", type=float, default=5.0, help="between two records of a lane that announces nothing"
    )
    made.add_argument("--uncompacted", type=float, default=20, help="records of a lane that its topic holds, at most")
    made.add_argument("--fence-ms", type=float, default=124.0, help="to take a slot's transactional id over")
    made.add_argument("--fetch-ms", type=float, default=60.0, help="to connect and find the end of a slot's topics")
    made.add_argument("--read-mb-s", type=float, default=20.0, help="of state read back by one node")
    made.add_argument("--side-by-side", type=int, default=4, help="slots that a node restores at a time")
    made.add_argument("--round-s", type=float, default=3.0, help="a round of the group: all have joined and know")
    options = made.parse_args()
    rows: list[dict[str, Any]] = []
    clusters: dict[str, Cluster] = {}
    for kind, assignor in (("sticky", assign), ("by number", by_number)):
        for key, words in WHAT.items():
            scenarios = Scenarios(options, assignor)
            cluster = getattr(scenarios, key)()
            progress(f"{kind}: {words}")
            rows.append({"what": words, "assignor": kind} | cluster.row())
            if kind == "sticky":
                clusters[key] = cluster
    report(options, figures=figures(options, clusters), rows=rows)


def figures(options: argparse.Namespace, clusters: dict[str, Cluster]) -> dict[str, Any]:
    chance = random.Random(SEED)
    streams: Counter[int] = Counter(chance.randrange(options.slots) for _ in range(options.streams))
    before = Scenarios(options, assign).settled()
    rack = clusters["rack_dies"]
    had = {name: member.owned for name, member in before.members.items()}
    quiet, after = traffic(options, before, streams), restores(options, rack, had, streams)
    one = restores(options, clusters["one_dies"], had, streams)
    presented = [len(json.dumps({"owned": sorted(member.owned)})) for member in before.members.values()]
    return {
        "state_mb_s": round(quiet["all_mb_s"], 2),
        "state_of_the_busiest_node_kb_s": round(quiet["node_kb_s"], 1),
        "state_transactions_a_second": round(quiet["transactions_s"]),
        "restore_of_a_slot_p95_ms": round(after["slot_p95_ms"]),
        "one_dies_last_slot_restored_s": round(one["last_s"], 2),
        "a_tenth_dies_last_slot_restored_s": round(after["last_s"], 2),
        "survivors_moved_by_deaths": clusters["one_dies"].survivors_moved + rack.survivors_moved,
        "imbalance_settled": round(before.imbalance, 3),
        "rolling_upgrade_moves_of_a_stream": round(sum(clusters["rolling_upgrade"].handed.values()) / options.slots, 2),
        "assign_worst_ms": round(1000 * max(max(each.assign_s) for each in clusters.values())),
        "largest_list_of_owned_slots_bytes": max(presented),
    }


if __name__ == "__main__":
    main()

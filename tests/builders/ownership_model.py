"""A cluster of a few nodes, one slot and a broker, small enough to be explored whole: every order in which anything can happen.

The nodes decide by the real ``logic/slot_ownership.py``; the broker, its group and the network are a model. Requests and answers are delivered late, in any
order, or (what a node that died had sent) after its death. A node may be stopped and go on, be expelled from the group while it works, or die.
A commit is two requests, as in Kafka: records, and when they are written the end of the transaction; starting a producer takes an open transaction back, and so does the broker when nobody ends it.

What must hold: each committed record follows from the one before it (nothing lost, nothing twice), and wherever the cluster gets, it can come from
there to a node that commits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from dataclasses import replace as dataclass_replace
from typing import Any, NamedTuple, TypeVar

from streamproc.logic.slot_ownership import Act, Phase, Slot

T = TypeVar("T", bound=tuple[Any, ...])


def replace(value: T, **changes: object) -> T:
    """A named tuple with other values; named tuples because millions of them are hashed."""
    made: T = value._replace(**changes)  # type: ignore[attr-defined]
    return made


class Broken(Exception):
    """The log holds what it must not; the message says how it came to it."""


class Request(NamedTuple):
    """On its way to the broker. ``epoch``: of the producer that sent it. ``base``: the version that the record follows from."""

    kind: str
    term: int
    epoch: int = 0
    base: int = 0


class Answer(NamedTuple):
    """On its way back."""

    kind: str
    term: int
    value: int = 0


class Node(NamedTuple):
    slot: Slot = Slot()
    alive: bool = True
    stopped: bool = False
    epoch: int = 0
    version: int = 0
    """Of the state in its memory."""
    busy: bool = False
    """Whether a commit is on its way."""
    told: tuple[int, bool] | None = None
    """An assignment that it has not seen yet: generation, and whether the slot is in it."""
    requests: frozenset[Request] = frozenset()
    answers: frozenset[Answer] = frozenset()


class Limits(NamedTuple):
    """How often each thing may happen in one history; what makes the exploration finite."""

    kills: int = 1
    stops: int = 1
    expulsions: int = 1
    lost_answers: int = 1
    versions: int = 2
    generations: int = 4


class World(NamedTuple):
    nodes: tuple[Node, ...]
    members: frozenset[int] = frozenset()
    generation: int = 0
    owner: int | None = None
    """Whom the newest assignment names."""
    unsettled: bool = False
    """Membership has changed since."""
    epoch: int = 0
    open: tuple[int, int] | None = None
    """Node and term of the transaction whose records are written and not committed."""
    version: int = 0
    """Of the newest committed record."""
    left: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Rules:
    """How the parts behave; a test takes one of them away."""

    fencing: bool = True
    """The broker refuses a producer older than the newest."""
    confirm: bool = True
    """A fenced node whose assignment names the slot asks, and takes it again."""
    settle_uncertain: bool = True
    """A commit without an answer is settled by fencing oneself."""
    fence_before_restore: bool = True


Move = tuple[str, World]


class Model:
    def __init__(self, rules: Rules = Rules()) -> None:
        self.rules = rules

    def moves(self, world: World) -> Iterator[Move]:
        """Everything that can happen next, with its name."""
        yield from self._group(world)
        if world.open is not None and self._nobody_ends(world, *world.open):
            yield "the transaction times out", replace(world, open=None, epoch=world.epoch + 1)
        for number, node in enumerate(world.nodes):
            yield from self._faults(world, number, node)
            for request in node.requests:
                yield from self._delivered(world, number, node, request)
            if node.alive and not node.stopped:
                yield from self._works(world, number, node)

    @staticmethod
    def _nobody_ends(world: World, number: int, term: int) -> bool:
        node = world.nodes[number]
        return not node.alive or node.stopped or node.slot.term != term

    # -- the group

    def _group(self, world: World) -> Iterator[Move]:
        for number, node in enumerate(world.nodes):
            if number not in world.members and node.alive and not node.stopped and node.told is None:
                yield f"node {number} joins", replace(world, members=world.members | {number}, unsettled=True)
        if world.unsettled and world.members and world.left.generations:
            for owner in sorted(world.members):
                generation = world.generation + 1
                nodes = tuple(
                    replace(node, told=(generation, number == owner)) if number in world.members else node
                    for number, node in enumerate(world.nodes)
                )
                left = replace(world.left, generations=world.left.generations - 1)
                yield (
                    f"generation {generation}: node {owner}",
                    replace(world, nodes=nodes, generation=generation, owner=owner, unsettled=False, left=left),
                )

    def _faults(self, world: World, number: int, node: Node) -> Iterator[Move]:
        left = world.left
        if node.alive and left.kills:
            dead = replace(Node(alive=False), requests=node.requests)
            yield f"node {number} dies", _with(replace(world, left=replace(left, kills=left.kills - 1)), number, dead)
        if node.alive and not node.stopped and left.stops:
            stopped = replace(node, stopped=True)
            yield (
                f"node {number} stops",
                _with(replace(world, left=replace(left, stops=left.stops - 1)), number, stopped),
            )
        if node.stopped:
            yield f"node {number} goes on", _with(world, number, replace(node, stopped=False))
        if number in world.members and (not node.alive or node.stopped or left.expulsions):
            spent = left if not node.alive or node.stopped else replace(left, expulsions=left.expulsions - 1)
            gone = replace(world, members=world.members - {number}, unsettled=True, left=spent)
            yield f"node {number} is expelled", _with(gone, number, replace(node, told=None))

    # -- the broker

    def _delivered(self, world: World, number: int, node: Node, request: Request) -> Iterator[Move]:
        sent = replace(node, requests=node.requests - {request})
        name = f"{request.kind} of node {number} arrives"
        reached, answer = self._answered(world, number, request)
        heard = replace(sent, answers=sent.answers | {answer}) if node.alive else sent
        yield name, _with(reached, number, heard)
        if request.kind == "end" and node.alive and world.left.lost_answers:
            spent = replace(reached, left=replace(reached.left, lost_answers=world.left.lost_answers - 1))
            lost = replace(sent, answers=sent.answers | {Answer("unanswered", request.term, request.base + 1)})
            yield f"{name}, its answer is lost", _with(spent, number, lost)

    def _answered(self, world: World, number: int, request: Request) -> tuple[World, Answer]:
        term = request.term
        if request.kind == "confirm":
            right = number in world.members and not world.unsettled and world.owner == number
            return world, Answer("confirmed" if right else "refused", term)
        if request.kind == "fence":
            epoch = world.epoch + 1
            return replace(world, epoch=epoch, open=None), Answer("fenced", term, epoch)
        if request.kind == "restore":
            if world.open is not None:
                return world, Answer("failed", term)  # read_committed waits behind an open transaction
            return world, Answer("restored", term, world.version)
        if self.rules.fencing and request.epoch != world.epoch:
            return world, Answer("lost", term)
        if request.kind == "records":
            return replace(world, open=(number, term)), Answer("written", term)
        if request.base != world.version:
            raise Broken(f"version {request.base + 1} is committed after version {world.version}")
        return replace(world, version=request.base + 1, open=None), Answer("committed", term, request.base + 1)

    # -- a node

    def _works(self, world: World, number: int, node: Node) -> Iterator[Move]:
        if node.told is not None:
            generation, mine = node.told
            heard = replace(node, told=None)
            slot, acts = heard.slot.assigned() if mine else heard.slot.withdrawn()
            yield f"node {number} sees generation {generation}", _with(world, number, self._acted(heard, slot, acts))
        for answer in node.answers:
            yield f"node {number} hears {answer.kind}", _with(world, number, self._heard(node, answer))
        if node.slot.phase is Phase.OWNED and not node.busy and node.version < world.left.versions:
            yield f"node {number} commits", _with(world, number, self._commits(node))

    def _commits(self, node: Node) -> Node:
        records = Request("records", node.slot.term, node.epoch, node.version)
        return replace(node, busy=True, requests=node.requests | {records})

    def _heard(self, node: Node, answer: Answer) -> Node:
        node = replace(node, answers=node.answers - {answer})
        slot, term = node.slot, answer.term
        if term != slot.term:
            return node
        match answer.kind:
            case "written":
                end = Request("end", term, node.epoch, node.version)
                return replace(node, requests=node.requests | {end})
            case "committed":
                node = replace(node, busy=False, version=answer.value)
                step = slot.handed_over(term)
            case "fenced":
                node = replace(node, epoch=answer.value)
                step = slot.fenced(term) if self.rules.fence_before_restore else slot.restored(term)
            case "restored":
                node = replace(node, version=answer.value)
                step = slot.restored(term) if self.rules.fence_before_restore else slot.fenced(term)
            case "unanswered" if not self.rules.settle_uncertain:
                node = replace(node, busy=False)
                step = slot.handed_over(term)
            case "unanswered":
                step = slot.uncertain(term)
            case "lost" if not self.rules.confirm:
                step = dataclass_replace(slot, wanted=False).lost(term)
            case kind:
                methods: dict[str, Callable[[int], tuple[Slot, tuple[Act, ...]]]] = {
                    "lost": slot.lost,
                    "failed": slot.failed,
                    "confirmed": slot.confirmed,
                    "refused": slot.refused,
                }
                step = methods[kind](term)
        return self._acted(node, *step)

    def _acted(self, node: Node, slot: Slot, acts: tuple[Act, ...]) -> Node:
        node = replace(node, slot=slot)
        for act in acts:
            match act:
                case Act.CONFIRM | Act.FENCE | Act.RESTORE:
                    kind = act.value
                    if not self.rules.fence_before_restore and kind in ("fence", "restore"):
                        kind = {"fence": "restore", "restore": "fence"}[kind]
                    node = replace(node, requests=node.requests | {Request(kind, slot.term)})
                case Act.HAND_OVER if not node.busy:
                    node = self._commits(node)
                case Act.DROP | Act.CLOSE:
                    node = replace(node, busy=False)
                case _:
                    pass
        return node


def _with(world: World, number: int, node: Node) -> World:
    return replace(world, nodes=(*world.nodes[:number], _tidied(node), *world.nodes[number + 1 :]))


def _tidied(node: Node) -> Node:
    """Without what changes nothing any more: answers to earlier terms, questions that nobody waits for."""
    term = node.slot.term
    asks = ("confirm", "restore")
    requests = frozenset(each for each in node.requests if each.kind not in asks or (node.alive and each.term == term))
    return replace(node, requests=requests, answers=frozenset(each for each in node.answers if each.term == term))


@dataclass
class Explored:
    """Everything that can be reached, and how it was first reached."""

    came_from: dict[World, tuple[World, str] | None] = field(default_factory=dict)
    leads_to: dict[World, list[World]] = field(default_factory=dict)

    def history(self, world: World) -> list[str]:
        steps: list[str] = []
        while (before := self.came_from[world]) is not None:
            world, name = before
            steps.append(name)
        return steps[::-1]

    def stuck(self, good: Callable[[World], bool]) -> list[World]:
        """From where no history leads to a good state."""
        back: dict[World, list[World]] = {}
        for world, nexts in self.leads_to.items():
            for each in nexts:
                back.setdefault(each, []).append(world)
        reached = {world for world in self.leads_to if good(world)}
        waiting = deque(reached)
        while waiting:
            for each in back.get(waiting.popleft(), ()):
                if each not in reached:
                    reached.add(each)
                    waiting.append(each)
        return [world for world in self.leads_to if world not in reached]


def explore(start: World, model: Model) -> Explored:
    """Breadth first, so that a history found is a shortest one. Raises Broken with it."""
    found = Explored({start: None})
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        nexts: list[World] = []
        try:
            for name, after in model.moves(world):
                nexts.append(after)
                if after not in found.came_from:
                    found.came_from[after] = (world, name)
                    waiting.append(after)
        except Broken as error:
            raise Broken("; ".join([*found.history(world), str(error)])) from None
        found.leads_to[world] = nexts
    return found

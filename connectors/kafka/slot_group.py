"""Which slots this node is to run: a consumer group over a topic with one partition a slot, divided by ``logic/slot_assignment.py``."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started, words
from connectors.kafka.settings import KafkaConnection
from streamproc.core.errors import SourceError
from streamproc.logic.slot_assignment import TOLERANCE, Member, Slot, assign, needed
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
NAME = "streamproc-slots"
_VERSION = 0
_POLL_MS = 500
LEVEL_S = 60.0
"""After a death the loads are levelled so much later, once, unless another round was held meanwhile: most nodes that die are back soon."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What a node says of itself when the group divides the slots."""

    node: str
    capacity: float
    """CPU cores; 0: it takes nothing and gives away what it has."""
    tags: Mapping[str, str] = field(default_factory=dict)
    owned: Mapping[int, float] = field(default_factory=dict)
    """Slots that it holds, and what each costs."""
    given: frozenset[int] = frozenset()
    """Slots that it was assigned and is about to take over."""
    costs: Mapping[int, float] = field(default_factory=dict)
    """What it thinks that slots cost which it does not hold; whoever holds one knows better."""
    requires: Mapping[int, Mapping[frozenset[tuple[str, str]], int]] = field(default_factory=dict)
    """Tags that processors of a slot need and how many of them need these, of every slot where any needs some."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a round of the group has come to."""

    generation: int
    slots: frozenset[int]
    """This node's."""
    owners: Mapping[int, str]
    """Node of every slot that has one."""
    untaken: Mapping[int, str]
    """Slots that nobody may take, and why."""
    partly: Mapping[int, frozenset[tuple[str, str]]]
    """Slots whose processors need more than any node has: those run that need no more than these tags, the others wait."""


class SlotAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """The group's way of dividing. An instance, not a class: it says what its own node is like."""

    name = NAME

    def __init__(self, presence: Callable[[], Presence]) -> None:
        self._presence = presence
        self.generation = -1
        self.said: dict[str, Any] = {}
        """What the member that divided told all."""
        self.uneven = False
        """Whether this member has divided and another round would level."""

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        mine, self.uneven = self._presence(), False
        document = {
            "node": mine.node,
            "capacity": mine.capacity,
            "tags": dict(mine.tags),
            "owned": sorted(mine.owned.items()),
            "given": sorted(mine.given),
            "costs": sorted(mine.costs.items()),
            "requires": [[slot, sorted(frozenset().union(*needs))] for slot, needs in sorted(mine.requires.items())],
            "needs": [
                [slot, sorted([sorted(need), count] for need, count in needs.items())]
                for slot, needs in sorted(mine.requires.items())
            ],
            "generation": self.generation,
        }
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), json.dumps(document).encode())

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, ConsumerProtocolMemberAssignment]:
        topic = next(iter(members.values())).subscription[0]
        documents = {name: json.loads(bytes(member.user_data)) for name, member in members.items()}
        found = divide(documents, sorted(cluster.partitions_for_topic(topic) or ()))
        owners = {slot: documents[name]["node"] for name, slots in found.slots.items() for slot in slots}
        said = {
            "owners": sorted(owners.items()),
            "untaken": sorted(found.untaken.items()),
            "partly": [[slot, sorted(tags)] for slot, tags in sorted(found.partly.items())],
            "generation": 1 + max(int(document["generation"]) for document in documents.values()),
        }
        # Slots of who is gone were placed and nothing else moved, so that nobody was disturbed who runs something.
        self.uneven = found.uneven
        data = json.dumps(said).encode()
        return {
            name: ConsumerProtocolMemberAssignment(_VERSION, [(topic, list(slots))], data)
            for name, slots in found.slots.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        self.said = json.loads(bytes(assignment.user_data)) if assignment.user_data else {}


@dataclass(frozen=True, slots=True)
class Divided:
    """What a round comes to; ``untaken`` and ``partly`` as in ``Assigned``."""

    slots: Mapping[str, tuple[int, ...]]
    """By member id."""
    untaken: Mapping[int, str]
    partly: Mapping[int, frozenset[tuple[str, str]]]
    uneven: bool
    """Whether slots of who is gone were placed and nothing else moved, and another round would level."""


def divide(documents: Mapping[str, Mapping[str, Any]], slots: Iterable[int]) -> Divided:
    """``documents``: what each member said (``SlotAssignor.metadata``), by member id."""
    costs = {int(slot): float(cost) for said in documents.values() for slot, cost in said.get("costs", ())}
    members = []
    for name, said in documents.items():
        owned = {int(slot): float(cost) for slot, cost in said["owned"]}
        costs |= owned
        # Of equal loads the lower node id comes first, so that a restarted member (with another id) changes nothing.
        members.append(
            Member(
                f"{said['node']}\0{name}",
                float(said["capacity"]),
                said["tags"],
                frozenset(owned),
                said["generation"],
                frozenset(map(int, said.get("given", ()))),  # a member of an earlier version does not say
            )
        )
    tags = [member.tags for member in members if member.capacity > 0]
    asked = _needs(documents.values())
    needs = {slot: needed(each, tags) for slot, each in asked.items()}
    found = assign(members, [Slot(slot, costs.get(slot, 0.0), needs.get(slot, frozenset())) for slot in slots])
    return Divided(
        {name.partition("\0")[2]: mine for name, mine in found.slots.items()},
        found.untaken,
        {slot: need for slot, need in needs.items() if need != frozenset().union(*asked[slot])},
        found.placed and found.imbalance > TOLERANCE,
    )


def _needs(documents: Iterable[Mapping[str, Any]]) -> dict[int, dict[frozenset[tuple[str, str]], int]]:
    """By slot the tags that its processors need, and how many of them these."""
    needs: dict[int, dict[frozenset[tuple[str, str]], int]] = {}
    for said in documents:
        # A member of an earlier version says only what all processors of a slot need together: as if one needed it.
        for slot, found in said.get("needs", [[slot, [[pairs, 1]]] for slot, pairs in said["requires"]]):
            here = needs.setdefault(int(slot), {})
            for pairs, count in found:
                here[_pairs(pairs)] = max(here.get(_pairs(pairs), 0), int(count))
    return needs


def _pairs(listed: Iterable[Iterable[str]]) -> frozenset[tuple[str, str]]:
    return frozenset((str(key), str(value)) for key, value in listed)


class SlotGroup(ConsumerRebalanceListener):  # type: ignore[misc]
    """One node's membership. Use in one event loop. ``on_assigned`` is called after each round, also when nothing has changed for this node.

    Being told that slots are revoked means nothing here: every round begins with that for all members, and who may write is decided by fencing.
    """

    def __init__(
        self,
        settings: KafkaConnection,
        context: ConnectorContext,
        presence: Callable[[], Presence],
        on_assigned: Callable[[Assigned], None],
        session_ms: int = 6000,
    ) -> None:
        self._settings = settings
        self._on_assigned = on_assigned
        self._assignor = SlotAssignor(presence)
        self._options = client_options(settings, context)
        self._round = 0
        self._levelling: asyncio.TimerHandle | None = None
        self._consumer = AIOKafkaConsumer(
            **self._options,
            group_id=settings.topic,
            enable_auto_commit=False,
            partition_assignment_strategy=(self._assignor,),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(200, session_ms // 6),
            rebalance_timeout_ms=max(10_000, session_ms),
            metadata_max_age_ms=30_000,
            auto_offset_reset="latest",
        )
        self._polling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join. Raises SourceError while the brokers are away. The topic must be there."""
        try:
            await started(self._consumer.start, self._options)
        except (KafkaError, OSError) as error:
            raise SourceError(f"{self._settings.bootstrap_servers}: {words(error)}") from None
        self._consumer.subscribe([self._settings.topic], listener=self)
        self._polling = asyncio.create_task(self._poll(), name="slot group")

    async def leave(self) -> None:
        """Say goodbye, so that the others divide at once."""
        if self._levelling is not None:
            self._levelling.cancel()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(5):
                await self._consumer.stop()

    async def confirm(self, slot: int) -> bool:
        """Whether the group still has this node in the round that it knows. Raises SourceError where the brokers do not say."""
        place = TopicPartition(self._settings.topic, slot)
        try:
            async with asyncio.timeout(5):
                await self._consumer.commit({place: 0})  # refused for a member of an earlier round
        except (CommitFailedError, IllegalStateError):
            return False
        except (KafkaError, OSError, TimeoutError) as error:
            raise SourceError(f"{self._settings.bootstrap_servers}: {words(error)}") from None
        return True

    def divide_anew(self) -> None:
        """Ask for another round: what this node says of itself or of the slots has changed."""
        if self._consumer._coordinator is not None:  # the library has no public word for it
            self._consumer._coordinator.request_rejoin()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing: see the class."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        places = list(assigned)
        if places:
            self._consumer.pause(*places)  # the topic is read elsewhere; here it only stands for its partitions
        self._round += 1
        said = self._assignor.said
        self._assignor.generation = int(said.get("generation", self._round))
        self._on_assigned(
            Assigned(
                self._round,
                frozenset(place.partition for place in places),
                {int(slot): str(node) for slot, node in said.get("owners", ())},
                {int(slot): str(why) for slot, why in said.get("untaken", ())},
                {int(slot): _pairs(tags) for slot, tags in said.get("partly", ())},
            )
        )
        if self._levelling is not None:
            self._levelling.cancel()
            self._levelling = None
        if self._assignor.uneven:
            self._levelling = asyncio.get_running_loop().call_later(LEVEL_S, self.divide_anew)

    async def _poll(self) -> None:
        """The group takes a member that reads nothing for dead."""
        trouble = Trouble("slot_group", "slot_group_answers")
        while True:
            try:
                await self._consumer.getmany(timeout_ms=_POLL_MS)
                trouble.over()
            except (KafkaError, OSError) as error:
                trouble.met(words(error))
                await asyncio.sleep(1.0)

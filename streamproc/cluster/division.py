"""Which slots are this node's: its group, a keeper for each slot that it takes, and the answer to who runs a processor."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from connectors.context import ConnectorContext
from connectors.kafka.slot_group import Assigned, Presence, SlotGroup
from streamproc import metrics
from streamproc.cluster.formats import newest
from streamproc.cluster.keeper import SlotKeeper
from streamproc.cluster.slot_processors import SlotProcessors
from streamproc.cluster.slot_store import SlotStore
from streamproc.config.cluster import ClusterSettings, NodePlace
from streamproc.core.errors import SourceError
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 2.0
LEAVE_S = 30.0


@dataclass(frozen=True, slots=True)
class Shares:
    """What the group has divided."""

    known: bool = False
    """Whether the group has answered."""
    mine: frozenset[int] = frozenset()
    owners: dict[int, str] = field(default_factory=dict)
    untaken: dict[int, str] = field(default_factory=dict)
    """Slots that nobody may take, and why."""
    partly: Mapping[int, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """Slots of which only those processors run that need no more than these tags."""

    def left_out(self, slot: int, needs: Mapping[str, str]) -> str | None:
        """Why a processor that needs these tags does not run where its slot does, for people."""
        if slot not in self.partly or needs.items() <= self.partly[slot]:
            return None
        chosen = " and ".join(f"{key}={value}" for key, value in sorted(self.partly[slot])) or "no tag"
        return (
            f"no node has all that the processors of its slot need, and those that need {chosen} run: give it another name, "
            f"or each site a cluster of its own"
        )

    def standing(self, slot: int, node: str, leaves_out: Callable[[str], bool]) -> str:
        """Of a processor whose slot does not run on ``node``, for people. ``leaves_out``: whether the owner runs all else of it."""
        if slot in self.untaken:
            return f"no node may run it: {self.untaken[slot]}"
        owner = self.owners.get(slot)
        if owner == node:
            return "is about to be taken over by this node"
        if owner is not None and leaves_out(owner):
            return (
                f"node {owner} is to run it and does not know it: put its file into the processors folder of every node"
            )
        return f"runs on node {owner}" if owner is not None else "waits for a node that takes it"


class Division:
    """This node's slots (``live.ownership.Ownership``, ``keeper.Membership``), in the event loop. One without a processor is not taken."""

    shared = True

    def __init__(
        self, settings: ClusterSettings, place: NodePlace, context: ConnectorContext, processors: SlotProcessors
    ) -> None:
        self.node_id = place.node_id or context.node_id
        self.leaving = False
        self.capacity = float(len(os.sched_getaffinity(0)))
        self.news: Callable[[], None] = lambda: None
        """Called when what this node has is something else."""
        self.alive: Callable[[str], bool] = lambda node: False
        """Whether a node was heard of lately."""
        self.leaves_out: Callable[[str, int, str], bool] = lambda node, slot, name: False
        """Whether a node says that it has all of a slot and does not run this processor of it."""
        self.format_now: Callable[[], int] = newest
        self.forgotten: Callable[[str], Awaitable[None]] = _at_once
        """Waits until the log does not hold any more what a deleted processor of a name left."""
        self.store = SlotStore(settings, context)
        self._settings = settings
        self._tags = {**settings.tags, **place.tags}
        self._context = context
        self._processors = processors
        self._group: SlotGroup | None = None
        self._waits = "they are being asked"
        self.shares = Shares()
        self.keepers: dict[int, SlotKeeper] = {}
        self._changed: list[Callable[[str], None]] = []
        self._joining: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: set[str] = set()

    def open(self, after: Callable[[], Awaitable[None]]) -> None:
        """Join, as soon as the brokers answer and ``after`` is over."""
        self._joining = asyncio.create_task(self._join(after), name="cluster")

    async def leave(self) -> None:
        """Hand everything over, then leave; sessions stay open. Returns when it is done, or does not end."""
        if not self.leaving:
            self.leaving = True
            log.info("draining", slots=len(self.running()))
            if self._joining is not None:
                self._joining.cancel()
                await asyncio.gather(self._joining, return_exceptions=True)
            for keeper in self.keepers.values():
                keeper.withdrawn()
        try:
            async with asyncio.timeout(LEAVE_S):
                await asyncio.gather(*(keeper.over() for keeper in self.keepers.values()))
        except TimeoutError:
            log.warning("drain_cut_off", slots=[each.number for each in self.keepers.values() if not each.is_over])
        group, self._group = self._group, None
        if group is not None:
            await group.leave()
            log.info("drained")
        self.shares = Shares(known=True)
        self.news()

    def running(self) -> set[int]:
        """Slots whose processors may run here."""
        return {number for number, keeper in self.keepers.items() if keeper.running}

    def settled(self) -> set[int]:
        """This node's slots that it does not have to take over any more: they run, or nothing is in them."""
        return set(self.shares.mine) - (self._processors.slots() - self.running())

    # -- ownership

    def elsewhere(self, name: str) -> str | None:
        number = self._processors.slot_of(name)
        keeper, shares = self.keepers.get(number), self.shares
        lacking = self._processors.lacking(name, self._tags)
        left_out = shares.left_out(number, self._processors.require(name))
        if left_out is not None or (lacking and number in shares.mine):
            return left_out or f"waits for a node with {lacking}"
        if keeper is not None and keeper.running and keeper.slot.wanted:
            return None if name in self._processors.adopted else "what the cluster knows of it is being read"
        if self.leaving:
            return "this node was drained"
        if keeper is not None and keeper.trouble and number in shares.mine:
            return f"this node cannot take it over: {keeper.trouble}"
        if not shares.known:
            return f"waits for the cluster's brokers: {self._waits}"
        return shares.standing(number, self.node_id, lambda owner: self.leaves_out(owner, number, name))

    def subscribe(self, changed: Callable[[str], None]) -> None:
        self._changed.append(changed)

    def owner_of(self, name: str) -> str | None:
        """Id of the node that has a processor, as far as the group has said."""
        return self.shares.owners.get(self._processors.slot_of(name))

    def keeper_of(self, name: str) -> SlotKeeper | None:
        """Of the slot of a processor, where this node ever had the slot. Any thread."""
        return self.keepers.get(self._processors.slot_of(name))

    async def _join(self, after: Callable[[], Awaitable[None]]) -> None:
        await after()
        trouble = Trouble("cluster_waits", "joined", cluster=self._settings.name)
        connection, session_ms = self._settings.connection("processors"), round(self._settings.session_timeout * 1000)
        while self._group is None:
            group = SlotGroup(connection, self._context, self._presence, self._assigned, session_ms)
            try:
                await self.store.make_topics()
                await group.start()
            except SourceError as error:
                self._waits = str(error)
                trouble.met(error)
                await group.leave()
                await asyncio.sleep(AGAIN_S)
            else:
                self._group = group
                log.info("joined", cluster=self._settings.name, node=self.node_id)

    # -- the group

    def _presence(self) -> Presence:
        costs = {number: float(len(self._processors.names(number))) for number in self._processors.slots()}
        # What it was only given is less: after brokers were away the first that is back is given all, and the others run theirs still.
        owned = {number: costs.get(number, 0.0) for number in self.settled()}
        given = self.shares.mine - owned.keys() - {number for number, each in self.keepers.items() if each.trouble}
        room = 0.0 if self.leaving else self.capacity
        return Presence(self.node_id, room, self._tags, owned, given, costs, self._processors.needs())

    def _assigned(self, found: Assigned) -> None:
        if self.leaving:
            return
        self.shares = Shares(True, found.slots, dict(found.owners), dict(found.untaken), found.partly)
        wanted = self._processors.slots() & found.slots
        for number in sorted(wanted | self.keepers.keys()):
            if number in wanted:
                self.keeper(number).assigned()
            else:
                self.keepers[number].withdrawn()
        self._tell(self._processors.supervisor.names())
        self.news()

    def keeper(self, number: int) -> SlotKeeper:
        return self.keepers.setdefault(number, SlotKeeper(number, self.store, self, self._processors))

    def known(self, name: str) -> None:
        """A processor's state changed; it may be new."""
        if not self._processors.supervisor.known(name):
            self._processors.adopted.discard(name)
            return
        number = self._processors.slot_of(name)
        if self.leaving or number not in self.shares.mine:
            return
        if self._processors.lacking(name, self._tags):
            # The slot was this node's before the processor came to it: the group divides once more, once for each such processor.
            if self._group is not None and name not in self._asked:
                self._asked.add(name)
                self._group.divide_anew()
            return
        keeper = self.keeper(number)
        if keeper.is_over:
            keeper.assigned()
        elif keeper.running and name not in self._processors.adopted:
            self._spawn(self._adopt_late(number, name))

    async def _adopt_late(self, number: int, name: str) -> None:
        """A processor that this node came to know when it had the slot already."""
        try:
            await self.forgotten(name)
            await self._processors.adopt(name, await self.store.read(number))
        except Exception as error:  # noqa: BLE001 - the boundary of one processor: it is tried again
            log.warning("not_read_yet", processor=name, reason=str(error))
            await asyncio.sleep(AGAIN_S)
            self.known(name)
        else:
            self._tell([name])

    # -- what slots ask of it

    async def confirm(self, slot: int) -> bool:
        if self._group is None:
            raise SourceError("this node is not in its group")
        return await self._group.confirm(slot)

    def lives(self, node: str) -> bool:
        return node in self.shares.owners.values() and self.alive(node)

    def changed(self, slot: int) -> None:
        metrics.SLOTS.set(sum(each.running for each in self.keepers.values()))
        self._tell(self._processors.names(slot))
        if self.keepers[slot].running:
            self._spawn(self._processors.supervisor.outputs.outbox.look_again())
        self.news()

    def _tell(self, names: Iterable[str]) -> None:
        for name in names:
            for changed in self._changed:
                changed(name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _at_once(name: str) -> None:
    """There is nothing to wait for."""

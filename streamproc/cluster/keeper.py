"""One slot on this node: carries out what ``logic/slot_ownership.py`` decides."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from connectors.kafka.slot_log import Lost, SlotWriter, Uncertain
from streamproc import metrics
from streamproc.cluster.slot_commits import Decided, Forgotten, SlotCommits, Written
from streamproc.cluster.slot_processors import SlotProcessors
from streamproc.cluster.slot_store import Owner, SlotContents, SlotStore
from streamproc.core.errors import OwnershipLost, SourceError, StorageUnavailable
from streamproc.core.event import Event
from streamproc.logic.slot_ownership import Act, Phase, Slot, Step
from streamproc.store.takeover import LaneRecord
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 0.5
RELEASE_S = 6.0
"""How long a new owner waits for one that lives to commit a last time; then it fences it."""


class Membership(Protocol):
    """The node, as a slot sees it."""

    node_id: str

    async def confirm(self, slot: int) -> bool:
        """Whether the group still has this node in the round that it knows. Raises SourceError."""
        ...

    def lives(self, node: str) -> bool:
        """Whether the group counts on another node of this id."""
        ...

    def format_now(self) -> int:
        """In which all nodes can read what this one writes."""
        ...

    def changed(self, slot: int) -> None:
        """Whether the slot is this node's to run is another answer now."""
        ...


class SlotKeeper:
    """Belongs to the event loop."""

    def __init__(self, number: int, store: SlotStore, node: Membership, processors: SlotProcessors) -> None:
        self.number = number
        self.slot = Slot()
        self.trouble = ""
        """What keeps it from being taken over, for people; empty while nothing does."""
        self._store = store
        self._node = node
        self._processors = processors
        self._writer: SlotWriter | None = None
        self._contents = SlotContents()
        self._commits: SlotCommits | None = None
        """Set while processors may run and commit."""
        self._elsewhere = asyncio.Event()
        self._elsewhere.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits = Trouble("slot_waits", "slot_goes_on", slot=number)

    def assigned(self) -> None:
        """The group gives it to this node."""
        self._step(self.slot.assigned())

    def withdrawn(self) -> None:
        """The group gives it to another, or this node is to leave."""
        self._step(self.slot.withdrawn())

    @property
    def running(self) -> bool:
        """Whether what its processors decide is committed here."""
        return self._commits is not None

    @property
    def is_over(self) -> bool:
        """Whether the slot is nothing of this node's."""
        return self.slot.phase is Phase.ELSEWHERE

    async def over(self) -> None:
        """Until ``is_over``."""
        await self._elsewhere.wait()

    # -- what its processors ask

    @property
    def lanes(self) -> Mapping[str, LaneRecord]:
        """What the log holds of its processors, while they run here."""
        return self._commits.lanes if self._commits is not None else {}

    async def commit(self, decided: Decided | Forgotten | Written) -> None:
        """Returns when it is committed. Raises OwnershipLost, or StorageUnavailable where the brokers do not say so."""
        if self._commits is None:
            raise OwnershipLost(f"slot {self.number} is not this node's")
        await self._commits.commit(decided)

    def keep(self, ids: Sequence[str]) -> None:
        """The log has these events although whoever committed them will ask again."""
        if self._commits is not None:
            self._commits.keep(ids)

    async def prove(self, within_s: float) -> bool:
        """Whether nobody else had the slot ``within_s`` ago; asks the brokers where that is not known."""
        return self._commits is not None and await self._commits.prove(within_s)

    def settle(self, output: str, event: Event) -> None:
        """An output has confirmed an event, or refused it for good."""
        if self._commits is not None:
            self._commits.settle(output, event.session, event.sequence)

    # -- acts

    def _step(self, step: Step) -> None:
        before = self.slot
        self.slot, acts = step
        if before.phase is not self.slot.phase:
            log.info("slot", slot=self.number, phase=self.slot.phase.value, was=before.phase.value)
        if self.is_over:
            self._elsewhere.set()
        else:
            self._elsewhere.clear()
        for act in acts:
            if act in (Act.DROP, Act.CLOSE):
                self._let_go()
            else:
                self._spawn(self._act(act, self.slot.term))
        if before.phase is not self.slot.phase:
            self._node.changed(self.number)

    async def _act(self, act: Act, term: int) -> None:
        try:
            await self._do(act, term)
            self._waits.over()
            self.trouble = ""
        except (SourceError, StorageUnavailable) as error:
            self.trouble = str(error)
            self._waits.met(error, doing=act.value)
            await asyncio.sleep(AGAIN_S)
            self._step(self.slot.failed(term))
        except Exception:  # the boundary of a slot: the others go on
            log.exception("slot_failed", slot=self.number, doing=act.value)
            await asyncio.sleep(AGAIN_S * 4)
            self._step(self.slot.failed(term))

    async def _do(self, act: Act, term: int) -> None:
        if act is Act.CONFIRM:
            right = await self._node.confirm(self.number)
            self._step(self.slot.confirmed(term) if right else self.slot.refused(term))
        elif act is Act.FENCE:
            await self._fence(term)
        elif act is Act.RESTORE:
            await self._restore(term)
        elif act is Act.RUN:
            await self._run(term)
        elif act is Act.HAND_OVER:
            await self._hand_over(term)

    async def _fence(self, term: int) -> None:
        await self._wait_for_release(term)
        if self.slot.term != term:
            return
        writer = self._store.writer(self.number)
        await writer.start()
        if self.slot.term != term:
            await writer.close()
            return
        self._writer = writer
        self._step(self.slot.fenced(term))

    async def _wait_for_release(self, term: int) -> None:
        """Give the one who has it the time to commit a last time, where it lives."""
        end = time.monotonic() + RELEASE_S
        while self.slot.term == term and time.monotonic() < end:
            found = await self._store.owner(self.number)
            if found.released or found.node == self._node.node_id or not self._node.lives(found.node):
                return
            await asyncio.sleep(AGAIN_S / 2)

    async def _restore(self, term: int) -> None:
        contents = await self._store.read(self.number)
        if self.slot.term == term:
            await self._processors.adopt_all(self.number, contents)
        if self.slot.term == term:
            self._contents = contents
            self._step(self.slot.restored(term))

    async def _run(self, term: int) -> None:
        """Write down whose it is, then let its processors run."""
        assert self._writer is not None

        def lost(error: Lost) -> None:
            log.warning("fenced", slot=self.number, reason=str(error))
            metrics.FENCED.inc()
            self._step(self.slot.lost(term))

        async def still_ours() -> bool:
            if not self.slot.wanted:
                raise Lost(f"slot {self.number}: it is another's by now")
            return await self._node.confirm(self.number)

        commits = SlotCommits(self.number, self._store, self._writer, still_ours, lost, self._node.format_now)
        try:
            await commits.begin(Owner(self._node.node_id, uuid.uuid4().hex), self._contents)
        except Lost:
            self._step(self.slot.lost(term))
        except Uncertain as error:
            log.warning("slot_waits", slot=self.number, doing="begin", reason=str(error))
            self._step(self.slot.uncertain(term))
        else:
            if self.slot.term == term and self.slot.phase in (Phase.OWNED, Phase.LEAVING):
                if self._contents.owner.incarnation:
                    metrics.TAKEOVERS.inc()
                self._commits, self._contents = commits, SlotContents()
                self._node.changed(self.number)

    async def _hand_over(self, term: int) -> None:
        try:
            await self._processors.release(self.number)
            if self._commits is not None:
                self._commits.releasing = True
                await self._commits.prove(0.0)
        except Exception:  # whatever keeps it, the slot is not kept from the others: they fence it
            log.exception("not_handed_over_cleanly", slot=self.number)
        self._step(self.slot.handed_over(term))

    def _let_go(self) -> None:
        """At once: nothing is committed here any more, nothing delivered."""
        writer, commits = self._writer, self._commits
        self._writer = self._commits = None
        self._processors.drop(self.number)
        if commits is not None:
            writer = commits.close()
        if writer is not None:
            self._spawn(writer.close())

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=f"slot {self.number}")  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

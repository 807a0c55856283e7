"""A node of a cluster reduced to its slots, a process of its own for ``test_slots.py``: it counts up in each slot that it owns.

The real group, writer, restore and decisions; what runs in a slot is only a counter, whose every value must be committed once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from random import Random

from connectors.context import ConnectorContext
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.slot_group import Assigned, Presence, SlotGroup
from connectors.kafka.slot_log import Entry, Lost, SlotWriter, Uncertain, read_slot
from streamproc.core.errors import SourceError
from streamproc.logic.slot_ownership import Act, Phase, Slot

WAIT_S = 0.05


def say(what: str, **more: object) -> None:
    print(json.dumps({"what": what, "at": time.time(), **more}), flush=True)


class Node:
    def __init__(self, node: str, bootstrap: str, cluster: str, session_ms: int) -> None:
        self.node, self.cluster = node, cluster
        self.context = ConnectorContext(processor=node, base_dir=Path(), data_dir=Path())
        self.settings = KafkaConnection(bootstrap_servers=bootstrap, topic=cluster)
        self.slots: dict[int, Slot] = {}
        self.writers: dict[int, SlotWriter] = {}
        self.values: dict[int, int] = {}
        self.group = SlotGroup(self.settings, self.context, self.presence, self.assigned, session_ms)
        self.tasks: set[asyncio.Task[None]] = set()
        self.known: frozenset[int] = frozenset()

    def presence(self) -> Presence:
        owned = {slot: 0.5 for slot, state in self.slots.items() if state.wanted}
        return Presence(self.node, 4.0, owned=owned)

    def assigned(self, found: Assigned) -> None:
        say("assigned", slots=sorted(found.slots), kept=len(found.slots & self.known), had=len(self.known))
        self.known = found.slots
        for number in sorted(self.slots.keys() | found.slots):
            state = self.slots.get(number, Slot())
            self.step(number, state.assigned() if number in found.slots else state.withdrawn())

    def step(self, number: int, step: tuple[Slot, tuple[Act, ...]]) -> None:
        self.slots[number], acts = step
        for act in acts:
            task = asyncio.create_task(self.do(number, act, self.slots[number].term))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def do(self, number: int, act: Act, term: int) -> None:
        match act:
            case Act.FENCE:
                await self.fence(number, term)
            case Act.RESTORE:
                await self.restore(number, term)
            case Act.CONFIRM:
                try:
                    right = await self.group.confirm(number)
                except SourceError:
                    await self.again(number, term)
                else:
                    state = self.slots[number]
                    self.step(number, state.confirmed(term) if right else state.refused(term))
            case Act.RUN:
                say("owned", slot=number, value=self.values[number])
                await self.run(number, term)
            case Act.DROP | Act.CLOSE:
                writer = self.writers.pop(number, None)
                say("dropped" if act is Act.DROP else "closed", slot=number)
                if writer is not None:
                    await writer.close()
            case Act.HAND_OVER:
                pass  # its counter sees it

    async def again(self, number: int, term: int) -> None:
        await asyncio.sleep(0.3)
        self.step(number, self.slots[number].failed(term))

    async def fence(self, number: int, term: int) -> None:
        writer = SlotWriter(self.settings, self.context, self.cluster, number)
        try:
            await writer.start()
        except SourceError:
            await self.again(number, term)
            return
        if self.slots[number].term != term:
            await writer.close()
            return
        self.writers[number] = writer
        self.step(number, self.slots[number].fenced(term))

    async def restore(self, number: int, term: int) -> None:
        try:
            found = await read_slot(self.settings, self.context, number)
        except SourceError:
            await self.again(number, term)
            return
        if self.slots[number].term == term:
            self.values[number] = int(found[-1].value or b"0") if found else 0
            self.step(number, self.slots[number].restored(term))

    async def run(self, number: int, term: int) -> None:
        """One value after the other; the last of them is the hand-over's."""
        chance = Random()
        while self.slots[number].term == term and self.slots[number].phase in (Phase.OWNED, Phase.LEAVING):
            leaving = self.slots[number].phase is Phase.LEAVING
            value = self.values[number] + 1
            try:
                await self.writers[number].commit([Entry(self.cluster, "count", str(value).encode())])
            except Lost:
                say("fenced", slot=number)
                self.step(number, self.slots[number].lost(term))
                return
            except Uncertain as error:
                say("uncertain", slot=number, why=str(error))
                self.step(number, self.slots[number].uncertain(term))
                return
            self.values[number] = value
            if leaving:
                self.step(number, self.slots[number].handed_over(term))
                return
            await asyncio.sleep(WAIT_S * chance.random())


async def main() -> None:
    name, bootstrap, cluster, session_ms = sys.argv[1:]
    node = Node(name, bootstrap, cluster, int(session_ms))
    await node.group.start()
    say("joined")
    line = await asyncio.to_thread(sys.stdin.readline)  # "leave", or the end of the test
    if line.strip() == "leave":
        for number in list(node.slots):
            node.step(number, node.slots[number].withdrawn())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while any(state.phase is not Phase.ELSEWHERE for state in node.slots.values()):
                    await asyncio.sleep(0.02)
        await node.group.leave()
        say("left")


if __name__ == "__main__":
    asyncio.run(main())

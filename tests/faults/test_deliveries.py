"""Outputs that work while the node's own disk is full: what they have confirmed is not sent again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from streamproc.contracts import Delivery
from streamproc.core.errors import SinkRejected
from streamproc.core.event import EventType
from streamproc.core.route import Route
from streamproc.outbox.outbox import Outbox
from streamproc.plain import render_plain
from streamproc.store.database import Database
from streamproc.store.deliveries import DeliveryStore
from streamproc.store.journal import Commit, Journal, SessionRow
from tests.builders.events import START, label_event

ROUTES = (Route("door/hook", frozenset(EventType)),)
EVENTS = 20


class Hook:
    """Answers 200, the first time only after the disk is full."""

    guarantee = "test"

    def __init__(self, ballast: Path) -> None:
        self.taken: Counter[str] = Counter()
        self._ballast = ballast

    async def deliver(self, delivery: Delivery) -> None:
        if not self.taken:
            with pytest.raises(OSError, match="No space"), self._ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
        self.taken[delivery.event.id] += 1

    async def aclose(self) -> None: ...


async def test_a_hook_that_answers_is_told_once_while_the_disk_is_full(small_disk: Path) -> None:
    journal = Journal(Database(small_disk))
    for number in range(EVENTS):
        row = SessionRow("s1", "door", START)
        journal.commit(Commit("door", [row], [(label_event(number, has_pictures=False), None)], ROUTES))
    hook = Hook(small_disk / "ballast")
    outbox = Outbox(journal, {"plain": render_plain})
    await outbox.set_outputs("door", {"door/hook": hook})
    await outbox.start()
    await asyncio.sleep(7)  # housekeeping wakes what waits every two seconds
    assert hook.taken and set(hook.taken.values()) == {1}
    (small_disk / "ballast").unlink()
    async with asyncio.timeout(20):
        while len(hook.taken) < EVENTS or DeliveryStore(journal).counts():
            await asyncio.sleep(0.1)
    assert len(hook.taken) == EVENTS and set(hook.taken.values()) == {1}
    await outbox.aclose()


class Refusing(Hook):
    """Refuses each event, the first time only after the disk is full."""

    async def deliver(self, delivery: Delivery) -> None:
        await super().deliver(delivery)
        raise SinkRejected("HTTP 400")


@pytest.mark.logs_errors("output_refused")
async def test_what_an_output_refused_is_not_sent_again_while_the_disk_takes_no_dead_letter(small_disk: Path) -> None:
    journal = Journal(Database(small_disk))
    for number in range(EVENTS):
        row = SessionRow("s1", "door", START)
        journal.commit(Commit("door", [row], [(label_event(number, has_pictures=False), None)], ROUTES))
    hook = Refusing(small_disk / "ballast")
    outbox = Outbox(journal, {"plain": render_plain})
    await outbox.set_outputs("door", {"door/hook": hook})
    await outbox.start()
    await asyncio.sleep(5)  # housekeeping wakes what waits every two seconds
    assert list(hook.taken.values()) == [1]
    (small_disk / "ballast").unlink()
    async with asyncio.timeout(20):
        while DeliveryStore(journal).counts() != {("door/hook", "dead"): EVENTS}:
            await asyncio.sleep(0.1)
    await outbox.aclose()
    letters = [json.loads(line)["event"]["id"] for line in (small_disk / "dead-letters.jsonl").read_text().splitlines()]
    assert set(hook.taken.values()) == {1} and len(letters) == len(set(letters)) == EVENTS

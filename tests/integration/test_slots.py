"""Slots over a real broker: processes that are killed, stopped and drained; whatever happens, each value of each slot is committed once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced

from connectors.context import ConnectorContext
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.slot_log import Entry, Lost, SlotWriter, Uncertain, make_topics, read_slot

pytestmark = [pytest.mark.kafka]
PROJECT = Path(__file__).resolve().parents[2]
SLOTS = 8
SESSION_MS = 6000
"""The least that brokers allow by default."""
CONTEXT = ConnectorContext(processor="test", base_dir=Path(), data_dir=Path())


class NodeProcess:
    def __init__(self, name: str, bootstrap: str, cluster: str, folder: Path) -> None:
        self.name = name
        self._out = folder / f"{name}-{uuid.uuid4().hex[:6]}.jsonl"
        command = [sys.executable, "-m", "tests.integration.slot_node", name, bootstrap, cluster, str(SESSION_MS)]
        self.process = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=self._out.open("wb"), stderr=(folder / "err").open("ab")
        )

    def said(self, what: str | None = None) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if what is None or line["what"] == what]

    @property
    def owned(self) -> set[int]:
        """Slots whose counter runs here, as far as it says."""
        found: set[int] = set()
        for line in self.said():
            if line["what"] == "owned":
                found.add(line["slot"])
            elif line["what"] in ("dropped", "closed"):
                found.discard(line["slot"])
        return found

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    def leave(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"leave\n")
        self.process.stdin.flush()


def until(check: Callable[[], object], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture
def cluster(kafka: Any) -> str:
    name = f"slots-{uuid.uuid4().hex[:8]}"
    settings = KafkaConnection(bootstrap_servers=kafka.bootstrap, topic=name)
    asyncio.run(make_topics(settings, CONTEXT, {name: {}}, SLOTS))
    return name


@pytest.fixture
def nodes(kafka: Any, cluster: str, tmp_path: Path) -> Iterator[Callable[[str], NodeProcess]]:
    started: list[NodeProcess] = []

    def start(name: str) -> NodeProcess:
        started.append(NodeProcess(name, kafka.bootstrap, cluster, tmp_path))
        return started[-1]

    yield start
    for node in started:
        node.process.kill()
        node.process.wait()


def values(kafka: Any, cluster: str) -> dict[int, list[int]]:
    settings = KafkaConnection(bootstrap_servers=kafka.bootstrap, topic=cluster)

    async def read() -> dict[int, list[int]]:
        found = await asyncio.gather(*(read_slot(settings, CONTEXT, slot) for slot in range(SLOTS)))
        return {slot: [int(record.value or b"0") for record in records] for slot, records in enumerate(found)}

    return asyncio.run(read())


def check_values(kafka: Any, cluster: str) -> dict[int, list[int]]:
    """Each value once, in order, in every slot."""
    found = values(kafka, cluster)
    for slot, counted in found.items():
        assert counted == list(range(1, len(counted) + 1)), f"slot {slot}"
    return found


def all_owned(*nodes: NodeProcess) -> bool:
    owned = [slot for node in nodes for slot in node.owned]
    return sorted(owned) == list(range(SLOTS))


def grow(kafka: Any, cluster: str) -> None:
    """Every slot goes on being counted."""
    before = values(kafka, cluster)
    until(lambda: all(len(now) > len(before[slot]) for slot, now in values(kafka, cluster).items()), "all go on", 60)


@pytest.mark.slow
def test_nodes_are_killed_stopped_and_drained(kafka: Any, cluster: str, nodes: Callable[[str], NodeProcess]) -> None:
    first = nodes("a")
    until(lambda: all_owned(first), "the first has all")
    others = [nodes("b"), nodes("c")]
    until(
        lambda: all_owned(first, *others) and all(len(node.owned) >= 2 for node in (first, *others)), "each has a share"
    )

    # killed: the survivors take its slots and keep all of theirs
    victim, (one, two) = first, others
    had = {node.name: node.owned for node in others}
    victim.end()
    until(lambda: all_owned(one, two), "the survivors have all")
    for node in (one, two):
        assert had[node.name] <= node.owned
        last = node.said("assigned")[-1]
        assert last["kept"] == last["had"], "nothing was taken from a survivor"
    grow(kafka, cluster)

    # stopped for longer than the group waits: when it goes on it is refused, and lets go
    held = len(one.owned)
    one.end(signal.SIGSTOP)
    until(lambda: all_owned(two), "the other has all")
    grow(kafka, cluster)
    one.end(signal.SIGCONT)
    until(lambda: len(one.said("fenced")) + len(one.said("uncertain")) >= held, "refused in every slot that it had")
    until(lambda: all_owned(one, two) and one.owned, "it is a node like any other again")

    # drained: it says goodbye, and nothing waits for a time-out
    two.leave()
    until(lambda: two.said("left") and all_owned(one), "drained")
    grow(kafka, cluster)
    assert max(len(counted) for counted in check_values(kafka, cluster).values()) > 10


async def test_what_a_fenced_writer_had_not_committed_is_never_seen(kafka: Any, cluster: str) -> None:
    settings = KafkaConnection(bootstrap_servers=kafka.bootstrap, topic=cluster)
    zombie, owner = (SlotWriter(settings, CONTEXT, cluster, 0) for _ in range(2))
    await zombie.start()
    await zombie.commit([Entry(cluster, "k", b"1")])
    await zombie._producer.begin_transaction()
    await zombie._producer.send_and_wait(cluster, b"never", b"k", partition=0)
    await owner.start()
    assert [record.value for record in await read_slot(settings, CONTEXT, 0)] == [b"1"]
    await owner.commit([Entry(cluster, "k", b"2")])
    with pytest.raises(ProducerFenced):
        await zombie._producer.commit_transaction()
    with pytest.raises((Lost, Uncertain)):
        await zombie.commit([Entry(cluster, "k", b"never")])
    assert [record.value for record in await read_slot(settings, CONTEXT, 0)] == [b"1", b"2"]
    await zombie.close()
    await owner.close()

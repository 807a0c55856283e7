"""What the nodes of a cluster say of themselves: a compacted topic that each follows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from connectors.context import ConnectorContext
from connectors.kafka.table import TableTopic
from streamproc.config.cluster import ClusterSettings
from streamproc.core.errors import SinkError, SourceError

log = structlog.get_logger(__name__)
SAY_S = 2.0
AGAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node as it sees itself. Not about who owns what: that says the log of each slot."""

    id: str
    address: str | None
    """Where others reach its HTTP port."""
    capacity: float
    """CPU cores; 0: it takes nothing."""
    version: str
    slots: tuple[int, ...]
    """Those that it has been given and does not have to wait for any more."""
    processors: tuple[str, ...]
    """Names of those that are its own to run."""
    said: float
    """Unix seconds, by its clock."""
    states: Mapping[str, str] = field(default_factory=dict)
    """Of ``processors``."""
    faces: str = ""
    """What keeps its face collections from being shared; empty: nothing."""
    reads: int = 1
    """The newest format of state (``formats.FORMATS``) that it reads; those that do not say it read the first."""
    pictures: str = ""
    """What of its pictures waits for the cluster's bucket, and why; empty: nothing."""


class Directory:
    """Belongs to the event loop."""

    def __init__(self, settings: ClusterSettings, context: ConnectorContext, myself: Callable[[], NodeFacts]) -> None:
        self._table = TableTopic(settings.connection("nodes"), context)
        self._myself = myself
        self._stale_s = settings.session_timeout + 2 * SAY_S
        self._heard: dict[str, tuple[NodeFacts, float]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._told = asyncio.Event()
        """Set once the others could hear of this node."""

    def open(self) -> None:
        self._tasks = [
            asyncio.create_task(self._follow(), name="cluster nodes"),
            asyncio.create_task(self._say(), name="cluster node"),
        ]

    def tell(self) -> None:
        """Something has changed of this node."""
        self._news.set()

    async def told(self, within_s: float) -> None:
        """Until the others could hear of this node, or the time is over: what they hand over to it is written so that it can read it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._told.wait()

    async def close(self) -> None:
        """Say a last time how it stands, then be silent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(2.0):
                await self._table.put({self._myself().id: None})
        except (SinkError, TimeoutError):
            pass  # the others find it silent
        await self._table.stop()

    def nodes(self) -> dict[str, tuple[NodeFacts, bool]]:
        """Every node that was heard of, this one among them, and whether it lives."""
        now, mine = time.monotonic(), self._myself()
        found = {key: (facts, now - heard < self._stale_s) for key, (facts, heard) in self._heard.items()}
        return found | {mine.id: (mine, True)}

    def lives(self, node: str) -> bool:
        """Whether a node was heard of lately."""
        found = self.nodes().get(node)
        return found is not None and found[1]

    def leaves_out(self, node: str, slot: int, name: str) -> bool:
        """Whether another node says that it has all of a slot and does not run this processor of it."""
        # Not by nodes(): what this node says of itself is asked for while that is made up.
        facts, heard = self._heard.get(node, (None, 0.0))
        lives = time.monotonic() - heard < self._stale_s
        return facts is not None and lives and slot in facts.slots and name not in facts.processors

    def formats(self) -> list[int]:
        """The newest format of state that each node reads that was heard of lately, this one left out."""
        now = time.monotonic()
        return [facts.reads for facts, heard in self._heard.values() if now - heard < self._stale_s]

    def state(self, node: str, name: str) -> str | None:
        """Of a processor, as a node that lives says of it; None: it says nothing."""
        facts, heard = self._heard.get(node, (None, 0.0))
        lives = time.monotonic() - heard < self._stale_s
        return facts.states.get(name) if facts is not None and lives else None

    def documents(self) -> list[dict[str, Any]]:
        """``nodes``, JSON-ready."""
        return [
            {
                "id": facts.id,
                "address": facts.address,
                "alive": alive,
                "capacity": facts.capacity,
                "version": facts.version,
                "slots": len(facts.slots) if alive else 0,
                "processors": list(facts.processors) if alive else [],
                "faces": facts.faces or None,
                "pictures": facts.pictures or None,
            }
            for _, (facts, alive) in sorted(self.nodes().items())
        ]

    async def _say(self) -> None:
        while True:
            facts = self._myself()
            try:
                await self._table.put({facts.id: json.dumps(asdict(facts)).encode()})
                self._told.set()
            except SinkError as error:
                log.debug("node_not_told", reason=str(error))
            self._news.clear()
            try:
                async with asyncio.timeout(SAY_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _follow(self) -> None:
        while True:
            try:
                async for batch in self._table.follow():
                    for change in batch.changes:
                        self._take(change.key, change.value)
            except SourceError as error:
                log.debug("nodes_not_heard", reason=str(error))
            await asyncio.sleep(AGAIN_S)

    def _take(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._heard.pop(key, None)
            return
        try:
            facts = _facts(json.loads(value))
        except (ValueError, TypeError, KeyError) as error:
            log.warning("node_unreadable", node=key, reason=str(error))
            return
        # What was said before this one began to listen is as old as the other's clock says, as far as clocks agree.
        age = min(max(0.0, time.time() - facts.said), 3600.0)
        self._heard[key] = (facts, time.monotonic() - age)


def _facts(document: Mapping[str, Any]) -> NodeFacts:
    return NodeFacts(
        document["id"],
        document["address"],
        float(document["capacity"]),
        document["version"],
        tuple(document["slots"]),
        tuple(document["processors"]),
        float(document["said"]),
        dict(document.get("states", {})),
        str(document.get("faces", "")),
        int(document.get("reads", 1)),
        str(document.get("pictures", "")),
    )

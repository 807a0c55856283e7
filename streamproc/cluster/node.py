"""This node as a member of its cluster: what it runs, tells and says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from connectors.context import ConnectorContext
from streamproc import __version__
from streamproc.cluster.directory import Directory, NodeFacts
from streamproc.cluster.division import Division
from streamproc.cluster.documents import SharedDocuments
from streamproc.cluster.faces import ClusterFaces
from streamproc.cluster.formats import agreed, newest
from streamproc.cluster.history import SharedHistory
from streamproc.cluster.jobs import SharedJobs
from streamproc.cluster.logged_journal import LoggedJournal
from streamproc.cluster.pictures import ClusterPictures
from streamproc.cluster.slot_processors import SlotProcessors
from streamproc.cluster.standings import Standings
from streamproc.config.cluster import ClusterSettings, NodePlace
from streamproc.core.event import Event
from streamproc.live.supervisor import Supervisor
from streamproc.store.database import Database
from streamproc.store.jobs import COMPLETIONS

CATCH_UP_S = 10.0
"""So long a node that comes back waits for what callers said meanwhile, before it asks for anything to run."""


class ClusterNode:
    """Belongs to the event loop. ``division`` is what the supervisor asks whether a processor is its own to run."""

    def __init__(
        self, settings: ClusterSettings, place: NodePlace, context: ConnectorContext, face_key: Path | None = None
    ) -> None:
        self.settings = settings
        self.place = place
        self.processors = SlotProcessors(settings.partitions)
        self.division = Division(settings, place, context, self.processors)
        self.node_id = self.division.node_id
        self.directory = Directory(settings, context, self.facts)
        self.division.news = self._news
        self.division.alive = self.directory.lives
        self.division.format_now = lambda: agreed(self.directory.formats())
        self.division.leaves_out = self.directory.leaves_out
        self.documents = SharedDocuments(settings, context)
        self.faces = ClusterFaces(settings, context, face_key)
        self.pictures = ClusterPictures(settings, context, in_charge=lambda: 0 in self.division.running())
        self.history = SharedHistory(self.division.store, lambda slot: slot in self.division.running())
        self.jobs = self.processors.jobs = SharedJobs(self.division, self.division.store)
        self._catching_up: list[Callable[[float], Awaitable[None]]] = [
            self.directory.told,
            self.documents.caught_up,
            self.faces.caught_up,
        ]
        self.standings = Standings(self.division, self.processors, self.documents)
        self.division.forgotten = self.standings.forgotten

    def bind(self, supervisor: Supervisor, loop: asyncio.AbstractEventLoop) -> None:
        """From now on what the supervisor's processors decide counts when the cluster has it. Before anything is opened."""
        self.processors.supervisor = supervisor
        self.documents.supervisor = self.history.supervisor = supervisor
        supervisor.state_elsewhere = self._state_elsewhere
        self.processors.logged_since = _first_time(supervisor.database, self.settings.name)
        keeper_of = self.division.keeper_of
        self.jobs.bind(supervisor.database, loop)
        keep = self.pictures.bind(supervisor)
        supervisor.decisions.journal = LoggedJournal(supervisor.journal, supervisor.store, keeper_of, loop, keep)
        supervisor.outputs.outbox.gate.is_open = self._may_deliver
        supervisor.outputs.outbox.gate.settled = self._settled
        supervisor.notices.states.append(self.standings.changed)
        supervisor.notices.states.append(self.division.known)
        supervisor.notices.states.append(lambda name: self.directory.tell())

    async def open(self, before_joining: Sequence[Callable[[float], Awaitable[None]]] = ()) -> None:
        """Join, as soon as the brokers answer. ``before_joining``: awaited first, each with the most seconds that it may take."""
        self._catching_up += before_joining
        await self.faces.open(self.node_id, self.processors.supervisor.database.data_dir)
        self.directory.open()
        self.documents.open()
        self.history.open()
        self.jobs.open()
        self.pictures.open()
        self.standings.open()
        self.division.open(self._caught_up)

    async def drain(self) -> None:
        """Hand everything over, then leave; sessions stay open. Returns when it is done, or does not end."""
        await self.division.leave()

    async def close(self) -> None:
        await self.drain()
        await self.jobs.close()
        await self.standings.close()
        await self.documents.close()
        await self.faces.close()
        await self.history.close()
        await self.pictures.close()
        await self.directory.close()

    def facts(self) -> NodeFacts:
        supervisor = self.processors.supervisor
        mine = [name for name in supervisor.names() if self.division.elsewhere(name) is None]
        return NodeFacts(
            self.node_id,
            self.place.address,
            0.0 if self.division.leaving else self.division.capacity,
            __version__,
            tuple(sorted(self.division.settled())),
            tuple(mine),
            time.time(),
            {name: supervisor.processor(name).life.state.value for name in mine},
            self.faces.trouble,
            newest(),
            self.pictures.trouble,
        )

    def status(self) -> dict[str, Any]:
        """JSON-ready: the nodes, and how many slots are on their way."""
        nodes = self.directory.documents()
        moving = self.settings.partitions - sum(node["slots"] for node in nodes)
        return {
            "cluster": self.settings.name,
            "node": self.node_id,
            "nodes": nodes,
            "slots": self.settings.partitions,
            "moving": max(0, moving),
        }

    async def flushed(self, within_s: float) -> None:
        """Until the cluster has what this node was told, or the time is over: the brokers may be away."""
        await asyncio.gather(self.documents.flushed(within_s), self.standings.flushed(within_s))

    async def begun(self, name: str, within_s: float) -> None:
        """Until the log has the session that a Start began here, with what was asked of it, or the time is over: a run commits that as soon as
        its models are there."""
        supervisor = self.processors.supervisor
        if supervisor.known(name) and self.division.elsewhere(name) is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await supervisor.processor(name).made()

    def _news(self) -> None:
        self.directory.tell()
        self.standings.taken()
        self.jobs.look()

    async def _caught_up(self) -> None:
        await asyncio.gather(*(caught_up(CATCH_UP_S) for caught_up in self._catching_up))

    def _state_elsewhere(self, name: str) -> str | None:
        owner = self.division.owner_of(name)
        return None if owner in (None, self.node_id) else self.directory.state(str(owner), name)

    # -- deliveries

    async def _may_deliver(self, processor: str, session: str) -> bool:
        if processor == COMPLETIONS:
            return await self.jobs.ends.may_tell(session, self.settings.session_timeout / 3)
        if not self.processors.supervisor.known(processor):
            return True
        keeper = self.division.keeper_of(processor)
        if keeper is None or processor not in self.processors.adopted:
            return False
        return await keeper.prove(self.settings.session_timeout / 3)

    def _settled(self, output: str, event: Event) -> None:
        if event.processor == COMPLETIONS:
            self.jobs.ends.told(event.session)
            return
        keeper = self.division.keeper_of(event.processor)
        if keeper is not None and self.processors.supervisor.known(event.processor):
            keeper.settle(output, event)


def _first_time(database: Database, cluster: str) -> float:
    """When this node first was in the cluster, Unix seconds."""
    fact = f"in cluster {cluster} since"
    if database.get(fact) is None:
        database.put(fact, str(time.time()))
    return float(database.get(fact) or 0.0)

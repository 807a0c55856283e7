"""What all processors of a node run on: workers, models, the journal, outputs, load shedding. Opened and closed as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from connectors.context import ConnectorContext
from streamproc.config.node import NodeConfig
from streamproc.contracts import Renderer
from streamproc.live.outputs import Outputs
from streamproc.live.patience import PatientJournal
from streamproc.live.processor import Processor
from streamproc.live.run import SharedServices
from streamproc.live.status import StatusBoard
from streamproc.live.tickers import govern, let_time_pass, show_states
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.cores import whole_cores
from streamproc.pipeline.governor import Governor
from streamproc.pipeline.scheduler import Scheduler
from streamproc.store.database import Database
from streamproc.store.journal import Journal
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)
FLUSH_S = 3.0
"""How long the end of the process waits for storage."""


class NodeRuntime:
    """Belongs to the event loop. Knows no processor: who runs on it is given to ``open``."""

    def __init__(
        self,
        node: NodeConfig,
        database: Database,
        renderers: Mapping[str, Renderer],
        collections_dir: Path,
        context: Callable[[str], ConnectorContext],
    ) -> None:
        """``collections_dir``: the data directory whose face collections are used. ``context``: what a processor's connectors are told."""
        self.journal = Journal(database)
        self.decisions = PatientJournal(self.journal)
        self.outputs = Outputs(self.journal, renderers, (node.outbox, node.history), context)
        self.governor = Governor(node.cpu_target)
        self._scheduler = Scheduler(node.workers)
        inferring = min(self._scheduler.workers, whole_cores())
        self.provider = ModelProvider(node, collections_dir, inferring, self._scheduler.help_with)
        self._database = database
        self._tickers: list[asyncio.Task[None]] = []

    def shared(self, takes_over: bool) -> SharedServices:
        """What a run needs. ``takes_over``: other nodes may have run a processor before."""
        return SharedServices(self.journal, self.decisions, self._scheduler, self.provider, takes_over)

    async def open(self, processors: Callable[[], list[Processor]], board: StatusBoard) -> None:
        """Bring up the workers, the outbox, and what is done for ``processors`` every so often."""
        self._scheduler.start()
        await self.outputs.outbox.start()
        self._tickers = [
            asyncio.create_task(let_time_pass(processors), name="tick"),
            asyncio.create_task(govern(self.governor, processors), name="governor"),
            asyncio.create_task(show_states(board), name="states"),
        ]

    async def close(self, drain_s: float) -> None:
        """Deliver what can be delivered within ``drain_s``, and stop. Nothing may run any more."""
        left = await self.outputs.outbox.drain(drain_s)
        if left:
            log.warning("deliveries_wait_for_the_next_start", count=left)
        await self.outputs.outbox.aclose()
        for ticker in self._tickers:
            ticker.cancel()
        await asyncio.gather(*self._tickers, return_exceptions=True)
        await CONTROL.run(self._scheduler.stop)
        await CONTROL.run(self.decisions.close, FLUSH_S)
        await CONTROL.run(self._database.close)

    def adopt(self, node: NodeConfig) -> None:
        """Another document of the node, as far as that goes without a restart."""
        self.governor.retarget(node.cpu_target)
        self.outputs.outbox.adopt(node.outbox, node.history)

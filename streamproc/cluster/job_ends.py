"""Who tells the end of a job that nodes share: the node that has its slot, until somebody has been told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamproc.cluster.job_store import SharedJobStore
from streamproc.cluster.keeper import SlotKeeper
from streamproc.core.errors import OwnershipLost, StorageUnavailable
from streamproc.threads import CLUSTER, DATABASE

AGAIN_S = 2.0


class JobEnds:
    """Belongs to the event loop."""

    def __init__(self, store: SharedJobStore, keeper_of: Callable[[str], SlotKeeper | None]) -> None:
        """``keeper_of``: of the slot of a job, where this node ever had it."""
        self._store = store
        self._keeper_of = keeper_of
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def may_tell(self, job: str, within_s: float) -> bool:
        """Whether this node is the one to tell the end of a job, as of at most so long ago."""
        row = next(iter(await DATABASE.run(self._store.index.rows, "id = ?", (job,))), None)
        if row is None or row.node:
            return True
        keeper = self._keeper_of(job)
        return not row.told and keeper is not None and await keeper.prove(within_s)

    def told(self, job: str) -> None:
        """An output has taken the end of a job, or refused it for good."""
        task = asyncio.create_task(self._mark(job), name="end of a job")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _mark(self, job: str) -> None:
        while True:
            try:
                return await CLUSTER.run(self._store.mark_told, job)
            except OwnershipLost:
                return None  # whoever has it now tells it again, under the same id
            except StorageUnavailable:
                await asyncio.sleep(AGAIN_S)

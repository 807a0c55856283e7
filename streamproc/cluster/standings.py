"""What became of documents, told to the log of their slots as soon as it is so: a start or a stop outlives its node before anything else is
decided, and a processor that was deleted leaves nothing to another of its name."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from streamproc.cluster.division import Division
from streamproc.cluster.documents import SharedDocuments
from streamproc.cluster.keeper import SlotKeeper
from streamproc.cluster.slot_commits import Decided, Forgotten
from streamproc.cluster.slot_processors import SlotProcessors
from streamproc.core.errors import OwnershipLost, StorageUnavailable
from streamproc.store.journal import Commit
from streamproc.store.takeover import LaneRecord, standing_of
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 1.0


class Standings:
    """Belongs to the event loop. Only the node that runs a processor says how it stands."""

    def __init__(self, division: Division, processors: SlotProcessors, documents: SharedDocuments) -> None:
        self._division = division
        self._processors = processors
        self._documents = documents
        self._dirty: set[str] = set()
        self._gone: set[str] = set()
        """Deleted, which the log does not know yet; one of the same name may be there again."""
        self._news = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._waits = Trouble("standing_waits", "standing_told")
        self._telling: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._telling = asyncio.create_task(self._tell_for_ever(), name="cluster standings")

    async def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    def changed(self, name: str) -> None:
        """A processor's document or state has changed, or it is gone."""
        if not self._processors.supervisor.known(name):
            self._gone.add(name)
        self._look_at(name)

    def taken(self) -> None:
        """This node may have other slots: what callers deleted while nobody had them is found out now."""
        for keeper in list(self._division.keepers.values()):
            for name, lane in keeper.lanes.items():
                theirs = lane.standing.origin == "api" and not self._processors.supervisor.known(name)
                if theirs and self._documents.deleted(name):
                    self._gone.add(name)
                    self._look_at(name)

    async def flushed(self, within_s: float) -> None:
        """Until the log has what was told so far, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._all_told.wait()

    async def forgotten(self, name: str) -> None:
        """Until the log does not hold any more what another processor of this name left."""
        while name in self._gone:
            await self._all_told.wait()

    def _look_at(self, name: str) -> None:
        self._dirty.add(name)
        self._all_told.clear()
        self._news.set()

    async def _tell_for_ever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for name in sorted(self._dirty):
                self._dirty.discard(name)
                try:
                    await self._tell(name)
                    self._waits.over()
                except OwnershipLost:
                    self._gone.discard(name)  # whoever has it now knows what is deleted
                except StorageUnavailable as error:
                    self._waits.met(error)
                    self._dirty.add(name)
                except Exception:  # the boundary of one processor
                    self._gone.discard(name)
                    log.exception("standing_not_told", processor=name)
            if self._dirty:
                await asyncio.sleep(AGAIN_S)
                self._news.set()
            elif not self._news.is_set():
                self._all_told.set()

    async def _tell(self, name: str) -> None:
        keeper = self._division.keeper_of(name)
        if keeper is None or not keeper.running:
            self._gone.discard(name)
            return
        if name in self._gone:
            if name in keeper.lanes:
                await keeper.commit(Forgotten(name))
            self._gone.discard(name)
        await self._tell_standing(name, keeper)

    async def _tell_standing(self, name: str, keeper: SlotKeeper) -> None:
        supervisor = self._processors.supervisor
        if not supervisor.known(name) or name not in self._processors.adopted:
            return
        row = supervisor.processor(name).row
        standing, before = standing_of(row), keeper.lanes.get(name, LaneRecord()).standing
        told = (before.document, before.wanted, before.finished)
        new = name not in keeper.lanes and (standing.wanted, standing.finished) == ("running", None)
        if not new and told != (standing.document, standing.wanted, standing.finished):
            await keeper.commit(Decided(Commit(name), [], standing))

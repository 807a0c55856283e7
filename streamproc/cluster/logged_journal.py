"""The journal of a node in a cluster: a decision counts when the cluster's log has it; the node's own database is an index of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import TimeoutError as TookTooLong

from streamproc.cluster.keeper import SlotKeeper
from streamproc.cluster.slot_commits import Decided
from streamproc.core.errors import OwnershipLost, StorageUnavailable
from streamproc.core.event import Event, Pictures
from streamproc.store.journal import Commit, Journal
from streamproc.store.processors import ProcessorStore
from streamproc.store.takeover import EventRecord, Standing, standing_of


class LoggedJournal:
    """Stands before a ``Journal``. ``commit`` is called in any thread but the event loop's, which carries it out."""

    def __init__(
        self,
        journal: Journal,
        store: ProcessorStore,
        keeper_of: Callable[[str], SlotKeeper | None],
        loop: asyncio.AbstractEventLoop,
        keep: Callable[[Event, Pictures], str] = lambda event, pictures: "",
    ) -> None:
        """``keep``: puts an event's pictures where all nodes find them, as ``PictureStore.keep``."""
        self.journal = journal
        self._store = store
        self._keeper_of = keeper_of
        self._loop = loop
        self._keep = keep

    def commit(self, commit: Commit, patience_s: float) -> list[Event]:
        """As ``Journal.commit``; raises OwnershipLost where the processor's slot is not this node's (any more)."""
        keeper = self._keeper_of(commit.processor)
        if keeper is None:
            raise OwnershipLost(f"{commit.processor} is not this node's")
        decided = self._decided(commit)
        asked = asyncio.run_coroutine_threadsafe(keeper.commit(decided), self._loop)
        try:
            asked.result(patience_s)
        except TookTooLong:
            asked.cancel()  # it may be committed for all that: whoever asks again with the same ids is told so
            raise StorageUnavailable("the cluster's brokers do not answer") from None
        try:
            return self.journal.commit(commit, patience_s)
        except StorageUnavailable:
            self._loop.call_soon_threadsafe(keeper.keep, [each.event.id for each in decided.events])
            raise

    def _decided(self, commit: Commit) -> Decided:
        contexts = {row.id: row.context for row in commit.sessions}
        events = [
            EventRecord(
                event, pictures, contexts.get(event.session, {}), self._keep(event, pictures) if pictures else ""
            )
            for event, pictures in self.journal.fresh(commit)
        ]
        row = self._store.get(commit.processor)
        standing = standing_of(row) if row is not None else Standing()
        return Decided(commit, events, standing)

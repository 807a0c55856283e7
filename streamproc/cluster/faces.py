"""The face collections of a cluster: a compacted topic of sealed rows that each node keeps its own file in step with."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import structlog

from connectors.context import ConnectorContext
from connectors.kafka.table import TableTopic
from streamproc.config.cluster import ClusterSettings
from streamproc.core.errors import InputError
from streamproc.faces.sealing import Seal
from streamproc.faces.sharing import SharedFaces
from streamproc.store.collection_changes import CollectionChanges
from streamproc.store.collections import CollectionStore
from streamproc.threads import FACE_ROWS

log = structlog.get_logger(__name__)
_NO_KEY = "faces.key_file: none is set, so this node's face collections are its own; give every node the same key file"


class ClusterFaces:
    """Belongs to the event loop. Without a key that fits nothing is shared, and ``trouble`` says why: all else of the node goes on."""

    def __init__(self, settings: ClusterSettings, context: ConnectorContext, key_file: Path | None) -> None:
        self._settings = settings
        self._context = context
        self._key_file = key_file
        self._store: CollectionStore | None = None
        self._shared: SharedFaces | None = None
        self._refused = ""

    @property
    def trouble(self) -> str:
        """What keeps this node from sharing its collections; empty while nothing does."""
        return self._refused or (self._shared.trouble if self._shared is not None else "")

    async def open(self, node_id: str, data_dir: Path) -> None:
        """Raises what a disk that cannot be written raises."""
        if self._key_file is None:
            self._refuse(_NO_KEY)
            return
        try:
            seal, store = await FACE_ROWS.run(_opened, self._key_file, data_dir)
        except InputError as error:
            self._refuse(str(error))
            return
        self._store = store
        changes = await FACE_ROWS.run(CollectionChanges, store)
        table = TableTopic(self._settings.connection("faces"), self._context)
        self._shared = SharedFaces(changes, table, seal, self._settings.name, node_id)
        self._shared.open()

    async def caught_up(self, within_s: float) -> None:
        """Until this node has what the others made while it was away, or the time is over, or nothing is shared."""
        if self._shared is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._shared.in_step.wait()

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()
        if self._store is not None:
            self._store.close()

    def _refuse(self, reason: str) -> None:
        self._refused = reason
        log.warning("faces_not_shared", reason=reason)


def _opened(key_file: Path, data_dir: Path) -> tuple[Seal, CollectionStore]:
    """Raises InputError for a key that is none, or not the one of what is stored there."""
    seal = Seal.from_file(key_file)
    return seal, CollectionStore(data_dir, seal)

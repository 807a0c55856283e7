"""The streams of a data directory whose daemon need not run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.context import ConnectorContext
from streamproc.config.kinesis_video import FolderStore, KinesisVideoSettings
from streamproc.core.errors import InputError
from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.catalog import StreamCatalog, fragment_document
from streamproc.kinesis.index import FragmentIndex
from streamproc.kinesis.setup import DATABASE, make_store
from streamproc.kinesis.streams import StreamTable
from streamproc.store.database import Database


class StoredStreams:
    """Reads beside a running daemon as well; only ``delete`` must be alone. Use in one thread."""

    def __init__(self, data_dir: Path, settings: KinesisVideoSettings | None = None, base_dir: Path = Path()) -> None:
        """Raises InputError where there is no store that can be read so."""
        settings = settings or KinesisVideoSettings()
        if not isinstance(settings.store, FolderStore):
            raise InputError("the node keeps its streams in a Kafka topic; start the daemon and give --url")
        if not (data_dir / DATABASE).is_file():
            raise InputError(f"{data_dir} holds no video streams; give --data-dir, or --url of a running daemon")
        self._database = Database(data_dir, DATABASE)
        streams, self._index = StreamTable(self._database), FragmentIndex(self._database)
        self._catalog = StreamCatalog(streams, self._index)
        context = ConnectorContext(processor="streams", base_dir=base_dir, data_dir=data_dir)
        # Not opened: that would sweep away what a daemon is just writing.
        self._store = make_store(settings, streams, self._index, context)

    def documents(self) -> list[dict[str, Any]]:
        """See ``catalog.StreamCatalog``."""
        return self._catalog.documents()

    def document(self, name: str) -> dict[str, Any]:
        """Raises NotFound."""
        return self._catalog.document(name)

    def fragments(self, name: str, begins_ms: int, ends_ms: int) -> list[dict[str, Any]]:
        """Raises NotFound."""
        found = self._catalog.overlapping(name, begins_ms, ends_ms)
        return [fragment_document(entry.info) for entry in found]

    def read(self, name: str, info: FragmentInfo) -> bytes:
        """Raises NotFound where it is gone."""
        return asyncio.run(self._store.read(self._catalog.entry(name, info.number)))

    def delete(self, name: str, alone: Callable[[Path], Any]) -> None:
        """``alone``: a context manager over the data directory that refuses beside a daemon. Raises NotFound, InputError."""
        with alone(self._database.data_dir):
            self._catalog.streams.delete(name, None)
            while entries := self._index.latest(name, 500):
                asyncio.run(self._store.remove(entries))

    def close(self) -> None:
        self._database.close()

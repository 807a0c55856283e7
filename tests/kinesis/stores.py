"""Both fragment stores on servers of the tests' own, and fragments for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from connectors.context import ConnectorContext
from connectors.kafka.fragment_topic import FragmentTopic, Retention
from streamproc.config.kinesis_video import KafkaStore
from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.folder import FolderFragments
from streamproc.kinesis.index import FragmentIndex
from streamproc.kinesis.kafka import KafkaFragments
from streamproc.kinesis.measure import measure
from streamproc.kinesis.store import FragmentStore, NewFragment
from streamproc.logic import fragment_numbers as numbers
from streamproc.store.database import Database
from tests.matroska import block, cluster, head

HOUR_MS = 3_600_000


def fragment(server_ms: int, *, last: str = "", filler: int = 1000, producer_ms: int | None = None) -> NewFragment:
    """Two seconds of something with one keyframe."""
    first = block(0, bytes(filler), key=True)
    data = head() + cluster(server_ms % 1_000_000, first, block(1000, server_ms.to_bytes(8, "big")))
    duration_ms, body = measure(data)
    number = numbers.next_number(server_ms, 7, last)
    info = FragmentInfo(number, server_ms if producer_ms is None else producer_ms, server_ms, duration_ms, len(data))
    return NewFragment(info, data, hashlib.blake2b(body, digest_size=16).digest())


@dataclass
class Bench:
    """One store that can be closed and opened again, as by another process."""

    directory: Path
    bootstrap: str | None
    """Of a broker; None: a folder."""
    topic: str = "video"
    max_bytes: int = 10**7
    retention_ms: dict[str, int] = field(default_factory=dict)

    async def open(self, *, fresh_index: bool = False) -> tuple[FragmentStore, FragmentIndex]:
        if fresh_index:
            for file in self.directory.glob("kinesis-video.db*"):
                file.unlink()
        self.index = FragmentIndex(Database(self.directory, "kinesis-video.db"))
        self.store = self._make()
        await self.store.open()
        return self.store, self.index

    async def close(self) -> None:
        await self.store.close()
        self.index.database.close()

    def _retention(self, stream: str) -> int:
        return self.retention_ms.get(stream, HOUR_MS)

    def _make(self) -> FragmentStore:
        if self.bootstrap is None:
            return FolderFragments(
                self.directory / "fragments", self.index, max_bytes=self.max_bytes, retention_ms=self._retention
            )
        settings = KafkaStore(type="kafka", bootstrap_servers=self.bootstrap, topic=self.topic)
        topic = FragmentTopic(settings, ConnectorContext(), Retention(HOUR_MS, self.max_bytes))
        return KafkaFragments(topic, self.index, retention_ms=self._retention, max_fragment_bytes=5 * 10**7)

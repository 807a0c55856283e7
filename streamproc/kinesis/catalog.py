"""What streams there are and which fragments hold a time, for people and programs of this project. No IO but the index."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streamproc.core.errors import NotFound
from streamproc.core.media import rfc3339
from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.index import FragmentIndex
from streamproc.kinesis.store import Entry
from streamproc.kinesis.streams import StreamTable, VideoStream


class StreamCatalog:
    """Thread-safe."""

    def __init__(self, streams: StreamTable, index: FragmentIndex) -> None:
        self.streams = streams
        self._index = index

    def documents(self) -> list[dict[str, Any]]:
        """All streams, by name."""
        return [self.document(name) for name in self.streams.names()]

    def document(self, name: str) -> dict[str, Any]:
        """One stream; ``from`` and ``to`` are of its video by the producer's clock, null where there is none. Raises NotFound."""
        stream = self.streams.get(name)
        count, size = self._index.usage(name)
        span = self._index.span(name)
        return {
            "name": name,
            "created": instant(stream.created_ms),
            "recording": stream.keep_ms is not None,
            "keep_s": _keep_s(stream),
            "media_type": stream.media_type,
            "fragments": count,
            "bytes": size,
            "from": None if span is None else instant(span[0]),
            "to": None if span is None else instant(span[1]),
            "tags": dict(stream.tags),
        }

    def overlapping(self, name: str, begins_ms: int, ends_ms: int) -> list[Entry]:
        """Fragments that hold something of the time from ``begins_ms`` up to ``ends_ms``, by the producer's clock; of several that begin
        at the same time the oldest. Raises NotFound where there is no such stream."""
        self.streams.get(name)
        first = self._index.containing(name, "producer_ms", begins_ms)
        if first is None:
            return []
        found = self._index.between(name, "producer_ms", first.info.producer_ms, ends_ms - 1, limit=-1)
        by_time: dict[int, Entry] = {}
        for entry in found:
            by_time.setdefault(entry.info.producer_ms, entry)
        return [by_time[at] for at in sorted(by_time)]

    def entry(self, name: str, number: str) -> Entry:
        """Raises NotFound."""
        self.streams.get(name)
        found = self._index.get(name, number)
        if found is None:
            raise NotFound(f"{name} has no fragment {number}; it may be older than what is kept")
        return found


def fragment_document(info: FragmentInfo) -> dict[str, Any]:
    """One fragment; times in both forms, for people and for programs."""
    return {
        "number": info.number,
        "time": instant(info.producer_ms),
        "producer_timestamp": info.producer_ms,
        "server_timestamp": info.server_ms,
        "seconds": info.duration_ms / 1000,
        "bytes": info.size,
    }


def fragment_of(document: dict[str, Any]) -> FragmentInfo:
    """The other way round."""
    return FragmentInfo(
        document["number"],
        document["producer_timestamp"],
        document["server_timestamp"],
        round(document["seconds"] * 1000),
        document["bytes"],
    )


def instant(milliseconds: int) -> str:
    """RFC 3339 of UTC epoch milliseconds."""
    return rfc3339(datetime.fromtimestamp(milliseconds / 1000, UTC))


def _keep_s(stream: VideoStream) -> float | None:
    if stream.keep_ms is not None:
        return stream.keep_ms / 1000
    return stream.retention_hours * 3600.0 or None

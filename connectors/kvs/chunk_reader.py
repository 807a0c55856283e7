"""The payload of GetMedia as fragments: chunks of Matroska with the service's tags around each cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from streamproc.core.video_log import FragmentInfo
from streamproc.media import ebml
from streamproc.media.ebml import MatroskaError
from streamproc.media.matroska import MAX_FRAGMENT_BYTES, Cutter
from streamproc.media.matroska_events import ClusterEnd, Header, TagsRead

_PREFIX = "AWS_KINESISVIDEO_"
_ERRORS = ("ERROR_ID", "EXCEPTION_ERROR_CODE")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A complete fragment."""

    info: FragmentInfo
    """Its duration is not told: 0."""
    data: bytes
    """A Matroska file of its own, with the service's tags before the cluster."""
    behind_ms: int | None
    """How far it is behind the live edge, where the service said so."""


class ChunkFault(Exception):
    """The service ended the payload with an error."""

    def __init__(self, code: str, words: str, number: str) -> None:
        super().__init__(f"error {code}: {words}".rstrip(": "))
        self.code = code
        self.number = number
        """Of the fragment that it is about; empty where none is named."""


@dataclass(slots=True)
class _Open:
    header: bytes
    tags: dict[str, str]
    body: bytearray
    size: int = 0


class ChunkReader:
    """One payload. A chunk is complete at the tags with the continuation token, not only when the next one begins."""

    def __init__(self, max_fragment_bytes: int = MAX_FRAGMENT_BYTES) -> None:
        self._cutter = Cutter(max_fragment_bytes)
        self._most = max_fragment_bytes
        self._open: _Open | None = None

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Fragments that are complete now. Raises MatroskaError."""
        for event in self._cutter.feed(data):
            if isinstance(event, Header):
                self._open = _Open(event.data, header_tags(event.data), bytearray())
            elif self._open is not None and isinstance(event, ClusterEnd):
                self._grow(self._open, event.data)
            elif self._open is not None and isinstance(event, TagsRead):
                pairs = {name.removeprefix(_PREFIX): text for name, text in event.pairs if name.startswith(_PREFIX)}
                if "CONTINUATION_TOKEN" in pairs:
                    yield _chunk(self._open, pairs)
                    self._open = None
                else:
                    self._grow(self._open, event.data)

    def end(self) -> None:
        """The payload has ended. What is not complete comes again in the next. Raises ChunkFault where the service said why."""
        tags = header_tags(self._cutter.header)
        code = next((tags[name] for name in _ERRORS if name in tags), None)
        if code is not None:
            words = tags.get("ERROR_CODE") or tags.get("EXCEPTION_MESSAGE") or ""
            raise ChunkFault(code, words, tags.get("FRAGMENT_NUMBER", ""))

    def _grow(self, chunk: _Open, data: bytes) -> None:
        if len(chunk.body) + len(data) > self._most:
            raise ebml.TooLarge(f"a fragment of more than {self._most} bytes")
        chunk.body += data


def header_tags(header: bytes) -> dict[str, str]:
    """The service's tags before a cluster, without their prefix."""
    found: dict[str, str] = {}
    at = 0
    while (head := ebml.read_head(header, at, len(header))) is not None:
        ident, size, content = head
        if ident == ebml.TAGS:
            pairs = ebml.read_tags(header, content, content + size)
            found |= {name.removeprefix(_PREFIX): text for name, text in pairs if name.startswith(_PREFIX)}
        at = content if ident == ebml.SEGMENT else content + max(size, 0)
    return found


def _chunk(chunk: _Open, closing: Mapping[str, str]) -> Chunk:
    number = chunk.tags.get("FRAGMENT_NUMBER", "") or closing["CONTINUATION_TOKEN"]
    if not number.isdigit():
        raise MatroskaError("a chunk without a fragment number")
    server = _milliseconds(chunk.tags, "SERVER_TIMESTAMP")
    data = chunk.header + bytes(chunk.body)
    info = FragmentInfo(number, _milliseconds(chunk.tags, "PRODUCER_TIMESTAMP"), server, 0, len(data))
    behind = closing.get("MILLIS_BEHIND_NOW", "")
    return Chunk(info, data, int(behind) if behind.isdigit() else None)


def _milliseconds(tags: Mapping[str, str], name: str) -> int:
    try:
        return int(Decimal(tags[name]) * 1000)
    except (KeyError, InvalidOperation, ValueError, OverflowError):
        raise MatroskaError(f"a chunk without {name}") from None

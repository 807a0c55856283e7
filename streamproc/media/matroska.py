"""An endless run of Matroska cut into headers, clusters and tags as it arrives. Pure.

One cutter for what producers send, what streams answer and what is recorded. Lenient where producers are sloppy (unknown sizes, a Segment of a
wrong size, several files one behind the other), strict where bytes can be no Matroska: every size is checked before anything is buffered.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamproc.media import ebml
from streamproc.media.ebml import MatroskaError, TooLarge
from streamproc.media.matroska_events import ClusterBegin, Event, Header, TagsRead, Track, read_track
from streamproc.media.open_cluster import OpenCluster

MAX_HEADER_BYTES = 1 << 20
MAX_FRAGMENT_BYTES = 50_000_000
"""The service's largest fragment (error 4001)."""
END_OF_FRAGMENT = "AWS_KINESISVIDEO_END_OF_FRAGMENT"
"""The tag by which producer SDKs say that nothing belongs to the fragment any more; they then wait for its acknowledgement."""

_DROPPED = frozenset({ebml.SEEK_HEAD, ebml.VOID, ebml.CRC32, ebml.CUES, ebml.ATTACHMENTS, ebml.CHAPTERS})
"""Elements that are of no use once the file around them is cut: positions, checksums, attachments."""
_BEHIND_CLUSTER = frozenset(
    {ebml.EBML, ebml.SEGMENT, ebml.CLUSTER, ebml.INFO, ebml.TRACKS, ebml.TAGS}
    | {ebml.SEEK_HEAD, ebml.CUES, ebml.ATTACHMENTS, ebml.CHAPTERS}
)
"""Elements that cannot be in a cluster, and so end one of unknown size."""


class Cutter:
    """``feed`` bytes as they come, ``finish`` at their end. Holds at most a header or a cluster. After an error it is of no more use."""

    def __init__(self, max_fragment_bytes: int = MAX_FRAGMENT_BYTES) -> None:
        self._most = max_fragment_bytes
        self._buffer = bytearray()
        self._at = 0
        self._skip = 0
        self._events: list[Event] = []
        self._header = bytearray()
        self._tracks: tuple[Track, ...] = ()
        self._scale_ns = 1_000_000
        self._in_segment = False
        self._header_told = False
        self._cluster: OpenCluster | None = None

    @property
    def buffered(self) -> int:
        """Bytes held at present."""
        return len(self._buffer) + len(self._header) + (len(self._cluster.data) if self._cluster is not None else 0)

    @property
    def header(self) -> bytes:
        """What came of the present file's header."""
        return bytes(self._header)

    @property
    def between_clusters(self) -> bool:
        """Whether every cluster so far is complete, so that nothing but time tells whether something belongs to the last one."""
        return self._cluster is None and not self._buffer

    def feed(self, data: ebml.Buffer) -> list[Event]:
        """What ``data`` completes. Raises MatroskaError (TooLarge for a fragment beyond the limit)."""
        self._buffer += data
        self._at = 0
        try:
            while self._step():
                pass
        finally:
            del self._buffer[: self._at]
        return self._take()

    def finish(self) -> list[Event]:
        """What the end of the bytes completes: a cluster of unknown size. Part of an element is dropped."""
        if self._cluster is not None and self._cluster.endless:
            self._end_cluster(self._cluster)
        return self._take()

    def taken(self) -> list[Event]:
        """What was complete before an error was raised."""
        return self._take()

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _step(self) -> bool:
        """Take one element. False: it is not all there yet."""
        end = len(self._buffer)
        if self._skip:
            gone = min(self._skip, end - self._at)
            self._at += gone
            self._skip -= gone
            return self._at < end
        head = ebml.read_head(self._buffer, self._at, end)
        if head is None:
            return False
        ident, size, content = head
        cluster = self._cluster
        if cluster is None:
            return self._top(ident, size, content)
        if not cluster.endless or ident not in _BEHIND_CLUSTER:
            return self._child(cluster, ident, size, content)
        self._end_cluster(cluster)
        return self._top(ident, size, content)

    # -- outside of clusters

    def _top(self, ident: int, size: int, content: int) -> bool:
        if ident == ebml.EBML:
            return self._begin_file(size, content)
        if not self._header:
            raise MatroskaError(f"0x{ident:X} where an EBML header was expected")
        if ident == ebml.SEGMENT:
            self._in_segment = True
            self._header += ebml.UNKNOWN_SEGMENT
            self._at = content
            return True
        if ident in _DROPPED or (self._header_told and ident not in (ebml.CLUSTER, ebml.TAGS)):
            return self._drop(ident, size, content)
        if not self._in_segment:
            raise MatroskaError(f"0x{ident:X} outside of a Segment")
        if ident == ebml.CLUSTER:
            return self._begin_cluster(size, content)
        return self._behind(size, content) if self._header_told else self._in_header(ident, size, content)

    def _begin_file(self, size: int, content: int) -> bool:
        whole = self._whole(ebml.EBML, size, content, MAX_HEADER_BYTES)
        if whole is None:
            return False
        self._header = bytearray(whole)
        self._in_segment, self._header_told = False, False
        self._tracks, self._scale_ns = (), 1_000_000
        return True

    def _drop(self, ident: int, size: int, content: int) -> bool:
        if not 0 <= size <= self._most:
            raise MatroskaError(f"0x{ident:X} of {'unknown size' if size == ebml.UNKNOWN else f'{size} bytes'}")
        self._at, self._skip = content, size
        return True

    def _in_header(self, ident: int, size: int, content: int) -> bool:
        whole = self._whole(ident, size, content, MAX_HEADER_BYTES - len(self._header))
        if whole is None:
            return False
        begin = len(whole) - size
        if ident == ebml.INFO:
            for inner, at, end in ebml.children(whole, begin, len(whole)):
                if inner == ebml.TIMESTAMP_SCALE:
                    self._scale_ns = ebml.unsigned(whole, at, end) or 1_000_000
        elif ident == ebml.TRACKS:
            entries = ebml.children(whole, begin, len(whole))
            self._tracks = tuple(read_track(whole, at, end) for inner, at, end in entries if inner == ebml.TRACK_ENTRY)
        self._header += whole
        return True

    def _behind(self, size: int, content: int) -> bool:
        whole = self._whole(ebml.TAGS, size, content, MAX_HEADER_BYTES)
        if whole is None:
            return False
        self._events.append(TagsRead(whole, ebml.read_tags(whole, len(whole) - size, len(whole))))
        return True

    def _whole(self, ident: int, size: int, content: int, most: int) -> bytes | None:
        """A complete element of at most ``most`` bytes, taken; None while it is not all there."""
        if size == ebml.UNKNOWN or content - self._at + size > most:
            raise MatroskaError(f"0x{ident:X} of {'unknown size' if size == ebml.UNKNOWN else f'{size} bytes'}")
        end = content + size
        if end > len(self._buffer):
            return None
        whole = bytes(self._buffer[self._at : end])
        self._at = end
        return whole

    # -- clusters

    def _begin_cluster(self, size: int, content: int) -> bool:
        if size > self._most:
            raise TooLarge(f"a cluster of {size} bytes")
        if not self._header_told:
            self._header_told = True
            self._events.append(Header(bytes(self._header), self._tracks, self._scale_ns))
        video = frozenset(track.number for track in self._tracks if track.is_video)
        self._cluster = OpenCluster(bytes(self._buffer[self._at : content]), size, video)
        self._at = content
        if self._cluster.complete:
            self._end_cluster(self._cluster)
        return True

    def _child(self, cluster: OpenCluster, ident: int, size: int, content: int) -> bool:
        if size == ebml.UNKNOWN:
            raise MatroskaError(f"0x{ident:X} of unknown size in a cluster")
        end = content + size
        cluster.check_room(ident, end - self._at, self._most)
        if end > len(self._buffer):
            return False
        begun = cluster.timecode is not None
        told = cluster.take(ident, self._buffer, self._at, content, end)
        if cluster.timecode is not None and not begun:
            self._events.append(ClusterBegin(cluster.timecode * self._scale_ns // 1_000_000))
        if told is not None:
            self._events.append(told)
        self._at = end
        if cluster.complete:
            self._end_cluster(cluster)
        return True

    def _end_cluster(self, cluster: OpenCluster) -> None:
        self._cluster = None
        ended = cluster.end(self._scale_ns)
        if ended is not None:
            self._events.append(ended)


def read_header(data: ebml.Buffer) -> Header:
    """The header of a complete fragment. Raises MatroskaError where there is no cluster."""
    for event in _beginning(data):
        if isinstance(event, Header):
            return event
    raise MatroskaError("no cluster in it")


def first_timecode_ms(data: ebml.Buffer) -> int:
    """The timecode of a fragment's first cluster, as its producer sent it. Raises MatroskaError."""
    for event in _beginning(data):
        if isinstance(event, ClusterBegin):
            return event.timecode_ms
    raise MatroskaError("no cluster in it")


def _beginning(data: ebml.Buffer) -> Iterator[Event]:
    cutter = Cutter()
    for at in range(0, len(data), 4096):
        yield from cutter.feed(data[at : at + 4096])

"""An endless run of Matroska cut into headers, clusters and tags as it arrives. Pure.

One cutter for what producers send, what streams answer and what is recorded. Lenient where producers are sloppy (unknown sizes, a Segment of a
wrong size, several files one behind the other), strict where bytes can be no Matroska: every size is checked before anything is buffered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from streamproc.media import ebml
from streamproc.media.ebml import MatroskaError, TooLarge

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
_VIDEO = 1


@dataclass(frozen=True, slots=True)
class Track:
    """One entry of Tracks."""

    number: int
    is_video: bool
    codec: str
    """CodecID, as V_MPEG4/ISO/AVC."""
    codec_private: bytes
    frame_ms: float
    """DefaultDuration; 0 where it is not told."""


@dataclass(frozen=True, slots=True)
class Header:
    """A file's beginning up to its first cluster, the Segment's size made unknown."""

    data: bytes
    tracks: tuple[Track, ...]
    scale_ns: int
    """Nanoseconds of one timecode unit."""

    @property
    def has_video(self) -> bool:
        return any(track.is_video for track in self.tracks)


@dataclass(frozen=True, slots=True)
class ClusterBegin:
    """A cluster's Timestamp was read."""

    timecode_ms: int


@dataclass(frozen=True, slots=True)
class FirstPicture:
    """A cluster's first video block was read."""

    keyframe: bool


@dataclass(frozen=True, slots=True)
class ClusterEnd:
    """A cluster is complete."""

    data: bytes
    """The whole element."""
    timecode_ms: int
    first_ms: int
    """Timecode of the first video block (of any block where there is no video); 0 without blocks."""
    last_ms: int
    """Latest timecode of a video block (of any block where there is no video)."""
    pictures: int
    """Video blocks (any blocks where there is no video)."""
    blocks: int


@dataclass(frozen=True, slots=True)
class TagsRead:
    """Tags behind a cluster."""

    data: bytes
    """The whole element."""
    pairs: tuple[tuple[str, str], ...]


Event = Header | ClusterBegin | FirstPicture | ClusterEnd | TagsRead


@dataclass(slots=True)
class _OpenCluster:
    data: bytearray
    left: int
    """Bytes still to come; UNKNOWN until something else begins."""
    timecode: int | None = None
    times: list[int] = field(default_factory=list)
    """Of video blocks, relative to the cluster, in timecode units."""
    other_times: list[int] = field(default_factory=list)


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
        self._video: frozenset[int] = frozenset()
        self._scale_ns = 1_000_000
        self._in_segment = False
        self._header_told = False
        self._cluster: _OpenCluster | None = None

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
        if self._cluster is not None and self._cluster.left == ebml.UNKNOWN:
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
        if cluster.left != ebml.UNKNOWN or ident not in _BEHIND_CLUSTER:
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
        self._tracks, self._video, self._scale_ns = (), frozenset(), 1_000_000
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
            self._tracks = tuple(_track(whole, at, end) for inner, at, end in entries if inner == ebml.TRACK_ENTRY)
            self._video = frozenset(track.number for track in self._tracks if track.is_video)
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
        self._cluster = _OpenCluster(bytearray(self._buffer[self._at : content]), size)
        self._at = content
        if size == 0:
            self._end_cluster(self._cluster)
        return True

    def _child(self, cluster: _OpenCluster, ident: int, size: int, content: int) -> bool:
        if size == ebml.UNKNOWN:
            raise MatroskaError(f"0x{ident:X} of unknown size in a cluster")
        length = content - self._at + size
        if cluster.left != ebml.UNKNOWN and length > cluster.left:
            raise MatroskaError(f"0x{ident:X} reaches over the end of its cluster")
        if len(cluster.data) + length > self._most:
            raise TooLarge(f"a cluster of more than {self._most} bytes")
        end = content + size
        if end > len(self._buffer):
            return False
        if ident == ebml.SIMPLE_BLOCK:
            self._block(cluster, content, end, None)
        elif ident == ebml.BLOCK_GROUP:
            self._block_group(cluster, content, end)
        elif ident == ebml.TIMESTAMP and cluster.timecode is None:
            cluster.timecode = ebml.unsigned(self._buffer, content, end)
            self._events.append(ClusterBegin(self._ms(cluster.timecode)))
        cluster.data += memoryview(self._buffer)[self._at : end]
        self._at = end
        if cluster.left != ebml.UNKNOWN:
            cluster.left -= length
            if cluster.left == 0:
                self._end_cluster(cluster)
        return True

    def _block_group(self, cluster: _OpenCluster, begin: int, end: int) -> None:
        found: tuple[int, int] | None = None
        refers = False
        for ident, at, stop in ebml.children(self._buffer, begin, end):
            if ident == ebml.BLOCK:
                found = at, stop
            refers |= ident == ebml.REFERENCE_BLOCK
        if found is not None:
            self._block(cluster, *found, not refers)

    def _block(self, cluster: _OpenCluster, begin: int, end: int, keyframe: bool | None) -> None:
        """``keyframe`` None: the block's own flag says it."""
        if cluster.timecode is None:
            raise MatroskaError("a block before its cluster's Timestamp")
        first = self._buffer[begin] if begin < end else 0
        at = begin + 9 - first.bit_length()
        if first == 0 or at + 3 > end:
            raise MatroskaError("a block without its head")
        number = int.from_bytes(self._buffer[begin:at], "big") & ((1 << 7 * (at - begin)) - 1)
        time = int.from_bytes(self._buffer[at : at + 2], "big", signed=True)
        if number not in self._video:
            cluster.other_times.append(time)
            return
        if not cluster.times:
            self._events.append(FirstPicture(bool(self._buffer[at + 2] & 0x80) if keyframe is None else keyframe))
        cluster.times.append(time)

    def _end_cluster(self, cluster: _OpenCluster) -> None:
        self._cluster = None
        if cluster.timecode is None:
            return  # without a Timestamp it has no blocks either
        times = cluster.times or cluster.other_times
        first, last = (cluster.timecode + times[0], cluster.timecode + max(times)) if times else (0, 0)
        blocks = len(cluster.times) + len(cluster.other_times)
        self._events.append(
            ClusterEnd(
                bytes(cluster.data), self._ms(cluster.timecode), self._ms(first), self._ms(last), len(times), blocks
            )
        )

    def _ms(self, timecode: int) -> int:
        return timecode * self._scale_ns // 1_000_000


def _track(data: bytes, begin: int, end: int) -> Track:
    number = kind = default_ns = 0
    codec, private = "", b""
    for ident, at, stop in ebml.children(data, begin, end):
        if ident == ebml.TRACK_NUMBER:
            number = ebml.unsigned(data, at, stop)
        elif ident == ebml.TRACK_TYPE:
            kind = ebml.unsigned(data, at, stop)
        elif ident == ebml.CODEC_ID:
            codec = ebml.text(data, at, stop)
        elif ident == ebml.CODEC_PRIVATE:
            private = data[at:stop]
        elif ident == ebml.DEFAULT_DURATION:
            default_ns = ebml.unsigned(data, at, stop)
    return Track(number, kind == _VIDEO, codec, private, default_ns / 1_000_000)


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

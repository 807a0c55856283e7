"""A Matroska cluster that is still being read: its bytes and what its blocks tell. Pure."""

from __future__ import annotations

from streamproc.media import ebml
from streamproc.media.ebml import MatroskaError, TooLarge
from streamproc.media.matroska_events import ClusterEnd, FirstPicture


class OpenCluster:
    """Takes a cluster's child elements in order, each whole; ``end`` says what the cluster is."""

    def __init__(self, head: bytes, size: int, video: frozenset[int]) -> None:
        """``head``: the element's id and size, as read. ``size``: of its content, or UNKNOWN. ``video``: numbers of video tracks."""
        self.data = bytearray(head)
        self.timecode: int | None = None
        """Of the cluster, in timecode units."""
        self._left = size
        """Bytes still to come; UNKNOWN until something else begins."""
        self._video = video
        self._times: list[int] = []
        """Of video blocks, relative to the cluster, in timecode units."""
        self._other_times: list[int] = []

    @property
    def endless(self) -> bool:
        """Whether the cluster has no size of its own: it ends where something begins that cannot be in a cluster."""
        return self._left == ebml.UNKNOWN

    @property
    def complete(self) -> bool:
        """All bytes that its size promised are there."""
        return self._left == 0

    def check_room(self, ident: int, length: int, most: int) -> None:
        """Raises MatroskaError where an element of ``length`` bytes does not fit into what is left, TooLarge beyond ``most`` in all."""
        if not self.endless and length > self._left:
            raise MatroskaError(f"0x{ident:X} reaches over the end of its cluster")
        if len(self.data) + length > most:
            raise TooLarge(f"a cluster of more than {most} bytes")

    def take(self, ident: int, data: bytearray, begin: int, content: int, end: int) -> FirstPicture | None:
        """Add a whole element of ``data``, whose content begins at ``content``. Gives what its first video block tells. Raises MatroskaError."""
        told = None
        if ident == ebml.SIMPLE_BLOCK:
            told = self._block(data, content, end, None)
        elif ident == ebml.BLOCK_GROUP:
            told = self._block_group(data, content, end)
        elif ident == ebml.TIMESTAMP and self.timecode is None:
            self.timecode = ebml.unsigned(data, content, end)
        self.data += memoryview(data)[begin:end]
        if not self.endless:
            self._left -= end - begin
        return told

    def end(self, scale_ns: int) -> ClusterEnd | None:
        """What the cluster is; None without a Timestamp, when it has no blocks either. ``scale_ns``: nanoseconds of a timecode unit."""
        if self.timecode is None:
            return None
        times = self._times or self._other_times
        first, last = (self.timecode + times[0], self.timecode + max(times)) if times else (0, 0)
        timecode_ms, first_ms, last_ms = (units * scale_ns // 1_000_000 for units in (self.timecode, first, last))
        blocks = len(self._times) + len(self._other_times)
        return ClusterEnd(bytes(self.data), timecode_ms, first_ms, last_ms, len(times), blocks)

    def _block_group(self, data: bytearray, begin: int, end: int) -> FirstPicture | None:
        found: tuple[int, int] | None = None
        refers = False
        for ident, at, stop in ebml.children(data, begin, end):
            if ident == ebml.BLOCK:
                found = at, stop
            refers |= ident == ebml.REFERENCE_BLOCK
        return self._block(data, *found, not refers) if found is not None else None

    def _block(self, data: bytearray, begin: int, end: int, keyframe: bool | None) -> FirstPicture | None:
        """``keyframe`` None: the block's own flag says it."""
        if self.timecode is None:
            raise MatroskaError("a block before its cluster's Timestamp")
        first = data[begin] if begin < end else 0
        at = begin + 9 - first.bit_length()
        if first == 0 or at + 3 > end:
            raise MatroskaError("a block without its head")
        number = int.from_bytes(data[begin:at], "big") & ((1 << 7 * (at - begin)) - 1)
        time = int.from_bytes(data[at : at + 2], "big", signed=True)
        if number not in self._video:
            self._other_times.append(time)
            return None
        self._times.append(time)
        if len(self._times) > 1:
            return None
        return FirstPicture(bool(data[at + 2] & 0x80) if keyframe is None else keyframe)

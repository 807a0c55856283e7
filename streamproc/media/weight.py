"""What a packet weighs: bytes that say something about the picture, and the quantizer that they were made with."""

from __future__ import annotations

from collections.abc import Iterator

from streamproc.core.media import Packet, Weight
from streamproc.logic import h264_headers as h264
from streamproc.logic import h265_headers as h265
from streamproc.logic.slice_qp import HEADER_BYTES, SliceFacts, SliceReader
from streamproc.media.demux import Coded, VideoTrack
from streamproc.media.nal import spans

_MAX_SET = 4096
"""Parameter sets are some dozen bytes; SEI and the like are not copied."""


class FeedScales:
    """Weighs a feed's packets; a new track begins anew."""

    def __init__(self) -> None:
        self._track: VideoTrack | None = None
        self._scales: TrackScales | None = None

    def weigh(self, packet: Packet) -> Weight:
        """Of a packet whose ``data`` is a ``Coded``; of any other, its size."""
        coded = packet.data
        if not isinstance(coded, Coded):
            return Weight(packet.size)
        if self._scales is None or coded.track is not self._track:
            self._track, self._scales = coded.track, TrackScales(coded.track.codec, coded.track.context.extradata)
        return self._scales.weigh(bytes(coded.packet))


class TrackScales:
    """Weighs the packets of one track, about ten microseconds each. Whatever the bytes are, nothing is raised."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        """``codec``: h264, hevc or another, of which only sizes are known. ``extradata``: of the track, avcC and hvcC included."""
        self._known = codec in ("h264", "hevc")
        self._avc = codec == "h264"
        self._filler = h264.FILLER if self._avc else h265.FILLER
        self._slices = SliceReader(codec)
        self._prefix = 0
        """Bytes of each NAL unit's length; 0: Annex B."""
        if self._known and extradata:
            for unit in self._from_extradata(extradata):
                self._slices.unit(unit)

    def weigh(self, data: bytes) -> Weight:
        """``data``: one access unit. Filler data does not count; the quantizer is the mean of the slices'."""
        if not self._known:
            return Weight(len(data))
        size, found = len(data), list[SliceFacts]()
        for begin, end in self._spans(data):
            kind = data[begin] & 31 if self._avc else data[begin] >> 1 & 63
            if kind == self._filler:
                size -= end - begin
            elif (1 <= kind <= 5) if self._avc else kind < h265.SLICES:
                facts = self._slices.unit(data[begin : min(end, begin + HEADER_BYTES)])
                if facts is not None:
                    found.append(facts)
            elif end - begin <= _MAX_SET:
                self._slices.unit(data[begin:end])
        if not found:
            return Weight(size)
        return Weight(size, sum(facts.qp for facts in found) / len(found), found[0].kind)

    def _spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Begin and end of each NAL unit."""
        return _prefixed(data, self._prefix) if self._prefix else _annex_b(data)

    def _from_extradata(self, extradata: bytes) -> list[bytes]:
        if extradata[:1] != b"\1":
            return [extradata[begin:end] for begin, end in _annex_b(extradata)]
        sizes = extradata[4:5] if self._avc else extradata[21:22]
        self._prefix = (sizes[0] & 3) + 1 if sizes else 4
        return _avcc_units(extradata) if self._avc else _hvcc_units(extradata)


def _annex_b(data: bytes) -> Iterator[tuple[int, int]]:
    return ((begin, end) for begin, end in spans(data) if end > begin)


def _prefixed(data: bytes, prefix: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at + prefix < len(data):
        length = int.from_bytes(data[at : at + prefix], "big")
        at += prefix
        if length:
            yield at, min(at + length, len(data))
        at += length


def _avcc_units(data: bytes) -> list[bytes]:
    """Parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1.2)."""
    found: list[bytes] = []
    at = 5
    for mask in (31, 255):
        count = data[at] & mask if at < len(data) else 0
        at += 1
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            found.append(data[at + 2 : at + 2 + length])
            at += 2 + length
    return found


def _hvcc_units(data: bytes) -> list[bytes]:
    """Parameter sets of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1.2)."""
    found: list[bytes] = []
    at = 23
    for _ in range(data[22] if len(data) > 22 else 0):
        count = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            if at >= len(data):
                return found
            length = int.from_bytes(data[at : at + 2], "big")
            found.append(data[at + 2 : at + 2 + length])
            at += 2 + length
    return found

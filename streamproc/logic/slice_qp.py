"""Kind and quantizer of a picture, out of its slices' headers, without decoding anything.

An encoder that holds the bit rate hides in its packets' sizes what happens, and shows it in its quantizer. The header of a slice says both
its kind and its quantizer within a few dozen bits.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from streamproc.logic import h264_headers as h264
from streamproc.logic import h265_headers as h265
from streamproc.logic.bits import BitReader, BrokenHeader, unescaped

HEADER_BYTES = 96
"""No slice header that cameras send is longer up to its quantizer; parameter sets are read whole."""

SliceKind = Literal["I", "P", "B", "b"]
"""b: a B slice that nothing refers to."""


class SliceFacts(NamedTuple):
    """What the header of one slice says."""

    kind: SliceKind
    qp: int
    """SliceQPY, 0..51; pictures of more than 8 bits reach down to -24 (H.264 7.4.2.1.1)."""


class SliceReader:
    """Follows the parameter sets of one stream. Input from the network: whatever the bytes are, nothing is raised."""

    def __init__(self, codec: str) -> None:
        """``codec``: h264 or hevc; of others nothing is known."""
        self._codec = codec
        self._avc: tuple[dict[int, h264.Sps], dict[int, h264.Pps]] = ({}, {})
        self._hevc: tuple[dict[int, h265.Sps], dict[int, h265.Pps]] = ({}, {})

    def unit(self, unit: bytes) -> SliceFacts | None:
        """Take a NAL unit (without start code): its facts where it is a slice with a header of its own; else None."""
        if len(unit) < 3:
            return None
        try:
            return self._avc_unit(unit) if self._codec == "h264" else self._hevc_unit(unit)
        except BrokenHeader:
            return None

    def _avc_unit(self, unit: bytes) -> SliceFacts | None:
        kind = unit[0] & 31
        if kind in h264.SLICES:
            reader = BitReader(unescaped(unit[1:HEADER_BYTES]))
            slice_type, number = h264.slice_pps(reader)
            pps = self._avc[1].get(number)
            sps = self._avc[0].get(pps.sps) if pps is not None else None
            if pps is None or sps is None:
                return None
            qp = h264.slice_qp(reader, unit[0], slice_type, sps, pps)
            return _facts(h264.KINDS[slice_type], bool(unit[0] >> 5 & 3), qp)
        if kind == h264.SPS:
            found = h264.read_sps(BitReader(unescaped(unit[1:])))
            self._avc[0][found.number] = found
        elif kind == h264.PPS:
            picture = h264.read_pps(BitReader(unescaped(unit[1:])))
            self._avc[1][picture.number] = picture
        return None

    def _hevc_unit(self, unit: bytes) -> SliceFacts | None:
        kind = unit[0] >> 1 & 63
        if kind < h265.SLICES:
            reader = BitReader(unescaped(unit[2:HEADER_BYTES]))
            first, number = h265.slice_pps(reader, kind)
            pps = self._hevc[1].get(number)
            sps = self._hevc[0].get(pps.sps) if pps is not None else None
            found = h265.slice_qp(reader, kind, first, sps, pps) if pps is not None and sps is not None else None
            # Even types below 16 are not referred to by pictures of their own temporal layer (H.265 table 7-1).
            return None if found is None else _facts(h265.KINDS[found[0]], kind >= 16 or bool(kind & 1), found[1])
        if kind == h265.SPS:
            sequence = h265.read_sps(BitReader(unescaped(unit[2:])))
            self._hevc[0][sequence.number] = sequence
        elif kind == h265.PPS:
            picture = h265.read_pps(BitReader(unescaped(unit[2:])))
            self._hevc[1][picture.number] = picture
        return None


def _facts(letter: str, referred: bool, qp: int) -> SliceFacts | None:
    """None: a quantizer that no header may hold, so the header was misread."""
    if not -24 <= qp <= 51:
        return None
    kind: SliceKind = "I" if letter == "I" else "P" if letter == "P" else "B" if referred else "b"
    return SliceFacts(kind, qp)

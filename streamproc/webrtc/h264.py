"""H.264 on its way to a browser: Annex B form, what a browser can play, RTP payloads. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streamproc.logic.bits import BitReader, BrokenHeader, unescaped
from streamproc.media.nal import units

SLICE, IDR, SEI, SPS, PPS, DELIMITER, FILLER = 1, 5, 6, 7, 8, 9, 12
START = b"\0\0\0\1"
MAX_PAYLOAD = 1180
"""Bytes of one RTP payload: with SRTP, RTP, UDP and IP around it, it fits the smallest path that IPv6 allows (1280)."""
_FU_A, _STAP_A = 28, 24


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """From a track's extradata."""

    length_size: int
    """Bytes of the length before each unit; 0: units are in Annex B form."""
    units: tuple[bytes, ...]
    """SPS and PPS."""


def parameter_sets(extradata: bytes | None) -> ParameterSets:
    """Reads both forms of extradata: Annex B, and the record of MP4 and Matroska (ISO/IEC 14496-15 5.3.3.1)."""
    data = extradata or b""
    if len(data) < 7 or data[0] != 1:
        return ParameterSets(0, tuple(unit for unit in units(data) if unit))
    found, at = [], 6
    count = data[5] & 0x1F
    for part in range(2):
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            found.append(data[at + 2 : at + 2 + size])
            at += 2 + size
        if part == 0 and at < len(data):
            count, at = data[at], at + 1
    return ParameterSets((data[4] & 3) + 1, tuple(unit for unit in found if unit))


def split(data: bytes, length_size: int) -> list[bytes]:
    """The NAL units of an access unit."""
    if length_size == 0:
        return [unit for unit in units(data) if unit]
    found, at = [], 0
    while at + length_size <= len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        if 0 < size <= len(data) - at:
            found.append(data[at : at + size])
        at += size
    return found


def for_viewers(nals: list[bytes], sets: ParameterSets) -> list[bytes]:
    """What is sent: without delimiters and filler, and with the parameter sets before every keyframe."""
    kept = [nal for nal in nals if nal[0] & 0x1F not in (DELIMITER, FILLER)]
    if is_keyframe(kept) and not any(nal[0] & 0x1F == SPS for nal in kept):
        return [*sets.units, *kept]
    return kept


def is_keyframe(nals: list[bytes]) -> bool:
    return any(nal[0] & 0x1F == IDR for nal in nals)


def why_unplayable(sps: bytes) -> str | None:
    """Why browsers cannot be relied on to play a stream of this sequence parameter set; None: they can.

    They take 8-bit 4:2:0, progressive, of the Baseline, Main and High profiles, and show pictures in the order of decoding.
    """
    try:
        return _judge(BitReader(unescaped(sps[1:])), sps[1], sps[2])
    except (IndexError, BrokenHeader):
        return "its sequence parameter set cannot be read"


def packetize(nals: list[bytes]) -> list[bytes]:
    """RTP payloads of one access unit, packetization mode 1 (RFC 6184 5.6, 5.7.1, 5.8)."""
    payloads: list[bytes] = []
    small: list[bytes] = []
    for nal in nals:
        if small and 1 + sum(len(item) + 2 for item in (*small, nal)) > MAX_PAYLOAD:
            payloads.append(_aggregate(small))
            small = []
        if len(nal) + 3 <= MAX_PAYLOAD:
            small.append(nal)
        else:
            payloads += _fragments(nal)
    if small:
        payloads.append(_aggregate(small))
    return payloads


def _aggregate(nals: list[bytes]) -> bytes:
    if len(nals) == 1:
        return nals[0]
    header = _STAP_A | max(nal[0] & 0x60 for nal in nals)
    return bytes([header]) + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


def _fragments(nal: bytes) -> Iterator[bytes]:
    room = MAX_PAYLOAD - 2
    indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F
    for begin in range(1, len(nal), room):
        flags = (0x80 if begin == 1 else 0) | (0x40 if begin + room >= len(nal) else 0)
        yield bytes([indicator, flags | kind]) + nal[begin : begin + room]


def _judge(bits: BitReader, profile: int, constraints: int) -> str | None:
    """ITU-T H.264 7.3.2.1.1 and E.1.1, as far as it matters here."""
    bits.u(24)
    bits.ue()
    if profile not in (66, 77, 100):
        return f"browsers do not play H.264 profile {profile}"
    if profile == 100:
        chroma, depth = bits.ue(), bits.ue() + bits.ue()
        if chroma != 1 or depth:
            return "browsers play 8-bit 4:2:0 only"
        bits.u(1)
        if bits.u(1):
            return None  # scaling lists are in the way of the rest; the timestamps will tell
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
        bits.ue()
        bits.ue()
        for _ in range(bits.ue()):
            bits.ue()
    bits.ue()
    bits.u(1)
    bits.ue()
    bits.ue()
    if not bits.u(1):
        return "it is interlaced"
    if order == 2 or profile == 66 or (profile in (77, 100) and constraints & 0x30 == 0x30):
        return None
    bits.u(1)
    if bits.u(1):
        for _ in range(4):
            bits.ue()
    reorder = _reordered(bits) if bits.u(1) else None
    return "its pictures are reordered (B-frames)" if reorder else None


def _reordered(bits: BitReader) -> int | None:
    """max_num_reorder_frames of the usability information; None where it is not said."""
    if bits.u(1) and bits.u(8) == 255:
        bits.u(32)
    if bits.u(1):
        bits.u(1)
    if bits.u(1):
        bits.u(4)
        if bits.u(1):
            bits.u(24)
    if bits.u(1):
        bits.ue()
        bits.ue()
    if bits.u(1):
        bits.u(65)
    hrd = [bits.u(1) and _skip_hrd(bits) for _ in range(2)]
    if any(hrd):
        bits.u(1)
    bits.u(1)
    if not bits.u(1):
        return None
    bits.u(1)
    for _ in range(4):
        bits.ue()
    return bits.ue()


def _skip_hrd(bits: BitReader) -> bool:
    count = bits.ue() + 1
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.u(1)
    bits.u(20)
    return True

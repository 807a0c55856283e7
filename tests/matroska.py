"""Matroska as producers send it, built element by element so that every byte is known."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

UNKNOWN = b"\x01\xff\xff\xff\xff\xff\xff\xff"


def size_of(length: int) -> bytes:
    """The shortest size descriptor."""
    width = next(width for width in range(1, 9) if length < (1 << 7 * width) - 1)
    return (length | 1 << 7 * width).to_bytes(width, "big")


def el(ident: str, content: bytes = b"", *, unknown: bool = False) -> bytes:
    return bytes.fromhex(ident) + (UNKNOWN if unknown else size_of(len(content))) + content


def num(ident: str, value: int) -> bytes:
    return el(ident, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def tags(**pairs: str) -> bytes:
    simple = b"".join(
        el("67C8", el("45A3", name.encode()) + el("4487", value.encode())) for name, value in pairs.items()
    )
    return el("1254C367", el("7373", simple))


def track(number: int = 1, kind: int = 1, codec: str = "V_MPEG4/ISO/AVC", private: bytes = b"\x01avcC") -> bytes:
    return el(
        "AE", num("D7", number) + num("73C5", number) + num("83", kind) + el("86", codec.encode()) + el("63A2", private)
    )


def head(*tracks: bytes, scale: int = 1_000_000, more: bytes = b"") -> bytes:
    """EBML header, Segment of unknown size, Info, Tracks."""
    ebml = el("1A45DFA3", num("4286", 1) + num("42F7", 1) + num("42F2", 4) + num("42F3", 8) + el("4282", b"matroska"))
    info = el("1549A966", num("2AD7B1", scale) + el("73A4", bytes(range(16))))
    return ebml + el("18538067", unknown=True) + more + info + el("1654AE6B", b"".join(tracks or (track(),)))


def block(time: int, data: bytes, *, key: bool = False, number: int = 1) -> bytes:
    return el("A3", bytes([0x80 | number]) + struct.pack(">h", time) + (b"\x80" if key else b"\0") + data)


def group(time: int, data: bytes, *, key: bool = False, number: int = 1) -> bytes:
    inner = el("A1", bytes([0x80 | number]) + struct.pack(">h", time) + b"\0" + data)
    return el("A0", inner + (b"" if key else num("FB", 1)))


def cluster(timecode: int, *blocks: bytes, unknown: bool = False) -> bytes:
    return el("1F43B675", num("E7", timecode) + b"".join(blocks), unknown=unknown)


@dataclass(frozen=True)
class Clip:
    """A clip's packets as a producer SDK has them."""

    private: bytes
    width: int
    height: int
    packets: tuple[tuple[int, bool, bytes], ...]
    """(milliseconds from the first, keyframe, bytes) in decode order."""

    def header(self) -> bytes:
        entry = track(private=self.private)
        size = el("E0", num("B0", self.width) + num("BA", self.height))
        content = entry[entry.index(b"\xd7") :] + size
        return head(el("AE", content))

    def clusters(self, begin_ms: int = 0, *, unknown: bool = True) -> list[bytes]:
        """One for each keyframe."""
        groups: list[list[tuple[int, bool, bytes]]] = []
        for packet in self.packets:
            if packet[1]:
                groups.append([])
            groups[-1].append(packet)
        return [
            cluster(
                begin_ms + first[0][0],
                *(block(time - first[0][0], data, key=key) for time, key, data in first),
                unknown=unknown,
            )
            for first in groups
        ]


def read_clip(path: Path, seconds: float | None = None) -> Clip:
    """The H.264 packets of an MP4 (AVCC) as they are."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        base = min(Fraction(packet.pts) * packet.time_base for packet in packets)
        taken: Sequence[tuple[int, bool, bytes]] = [
            (round((Fraction(packet.pts) * packet.time_base - base) * 1000), packet.is_keyframe, bytes(packet))
            for packet in packets
        ]
        if seconds is not None:
            taken = [packet for packet in taken if packet[0] < seconds * 1000]
        context = stream.codec_context
        return Clip(bytes(context.extradata), context.width, context.height, tuple(taken))

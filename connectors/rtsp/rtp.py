"""RTP packets to access units of H.264 (RFC 3550, RFC 6184) and H.265 (RFC 7798). Pure: no clock, no socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

START = b"\0\0\0\1"
MAX_UNIT = 16 * 1024 * 1024
"""Bytes of one picture; more is no camera's."""
_STAP_A, _FU_A = 24, 28
_AP, _FU = 48, 49


class AccessUnit(NamedTuple):
    """One picture as it was sent."""

    units: list[bytes]
    """NAL units in decoding order."""
    timestamp: int
    """RTP's, unwrapped; the first of a stream as it came."""
    keyframe: bool
    damaged: bool
    """Something of it, or right before it, was lost."""


class RtpPacket(NamedTuple):
    """RFC 3550 5.1, without what nobody needs here."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    source: int
    payload: bytes


def parsed(data: bytes) -> RtpPacket | None:
    """None: no RTP packet."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    begin, end = 12 + 4 * (data[0] & 15), len(data)
    if data[0] & 16:
        if end < begin + 4:
            return None
        begin += 4 + 4 * (data[begin + 2] << 8 | data[begin + 3])
    if data[0] & 32:
        end -= data[-1]
    if begin > end:
        return None
    return RtpPacket(
        data[1] & 127, data[1] > 127, data[2] << 8 | data[3], int.from_bytes(data[4:8], "big"),
        int.from_bytes(data[8:12], "big"), data[begin:end],
    )  # fmt: skip


@dataclass
class Assembler:
    """Puts the packets of one stream together. Whatever the bytes are, nothing is raised.

    A picture ends with the marker bit, or where the timestamp changes. Units that lost a part are left out, and the picture counts as damaged.
    """

    codec: str
    received: int = 0
    lost: int = 0
    highest: int = 0
    """Extended highest sequence number (RFC 3550 A.1)."""
    _expected: int | None = None
    _cycles: int = 0
    _source: int | None = None
    _time: int | None = None
    _units: list[bytes] = field(default_factory=list)
    _part: bytearray | None = None
    _size: int = 0
    _damaged: bool = False
    _current: int | None = None

    def add(self, packet: RtpPacket) -> list[AccessUnit]:
        """The pictures that are whole now."""
        if not self._in_order(packet):
            return []
        timestamp = self._unwrapped(packet.timestamp)
        ready = []
        if self._current is not None and timestamp != self._current and (self._units or self._part is not None):
            ready += self._finish()
        self._current = timestamp
        if packet.payload and self._size < MAX_UNIT:
            self._size += len(packet.payload)
            if self.codec == "h264":
                self._avc(packet.payload)
            else:
                self._hevc(packet.payload)
        if packet.marker:
            ready += self._finish()
        return ready

    def _in_order(self, packet: RtpPacket) -> bool:
        """Count what is missing; False: an old packet again."""
        self.received += 1
        if self._source != packet.source:
            self._source, self._expected = packet.source, None
            self._part = None
        if self._expected is not None:
            ahead = (packet.sequence - self._expected) & 0xFFFF
            if ahead >= 0x8000:
                return False
            if ahead:
                self.lost += ahead
                self._damaged, self._part = True, None
        if self._expected is not None and packet.sequence < (self.highest & 0xFFFF):
            self._cycles += 1 << 16
        self.highest = self._cycles + packet.sequence
        self._expected = (packet.sequence + 1) & 0xFFFF
        return True

    def _unwrapped(self, stamp: int) -> int:
        if self._time is None:
            self._time = stamp
        else:
            step = (stamp - self._time) & 0xFFFFFFFF
            self._time += step - (1 << 32) if step >= 1 << 31 else step
        return self._time

    def _finish(self) -> list[AccessUnit]:
        units, damaged, timestamp = self._units, self._damaged or self._part is not None, self._current
        self._units, self._part, self._size = [], None, 0
        kinds = [unit[0] & 31 if self.codec == "h264" else unit[0] >> 1 & 63 for unit in units]
        pictures = [kind for kind in kinds if (1 <= kind <= 5 if self.codec == "h264" else kind < 32)]
        if not pictures or timestamp is None:
            if units and not damaged:  # parameter sets by themselves belong to the next picture
                self._units = units
            return []
        self._damaged = False
        if self.codec == "h264":
            key = 5 in pictures or _recovers(units, kinds)
        else:
            key = any(16 <= kind < 24 for kind in pictures)
        return [AccessUnit(units, timestamp, key, damaged)]

    def _avc(self, payload: bytes) -> None:
        kind = payload[0] & 31
        if 1 <= kind < _STAP_A:
            self._units.append(payload)
        elif kind == _STAP_A:
            self._aggregate(payload, 1)
        elif kind == _FU_A and len(payload) > 2:
            self._fragment(payload[1], bytes([payload[0] & 0xE0 | payload[1] & 31]), payload[2:])
        else:
            self._damaged = True

    def _hevc(self, payload: bytes) -> None:
        kind = payload[0] >> 1 & 63
        if len(payload) < 3:
            self._damaged = True
        elif kind < _AP:
            self._units.append(payload)
        elif kind == _AP:
            self._aggregate(payload, 2)
        elif kind == _FU and len(payload) > 3:
            head = bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]])
            self._fragment(payload[2], head, payload[3:])
        else:
            self._damaged = True

    def _aggregate(self, payload: bytes, at: int) -> None:
        """STAP-A (RFC 6184 5.7.1) and AP (RFC 7798 4.4.2): units with their lengths before them."""
        while at + 2 < len(payload):
            length = payload[at] << 8 | payload[at + 1]
            unit = payload[at + 2 : at + 2 + length]
            if not unit or len(unit) < length:
                self._damaged = True
                return
            self._units.append(unit)
            at += 2 + length

    def _fragment(self, flags: int, head: bytes, body: bytes) -> None:
        """FU-A (RFC 6184 5.8) and FU (RFC 7798 4.4.3)."""
        if flags & 0x80:
            self._damaged |= self._part is not None
            self._part = bytearray(head)
        if self._part is None:
            self._damaged = True  # its beginning was lost
            return
        self._part += body
        if flags & 0x40:
            self._units.append(bytes(self._part))
            self._part = None


def _recovers(units: list[bytes], kinds: list[int]) -> bool:
    """A picture without IDR from which decoding may begin: an I slice behind parameter sets and a recovery point (H.264 D.2.8)."""
    if 7 not in kinds:
        return False
    return any(kind == 6 and len(unit) > 1 and unit[1] == 6 for kind, unit in zip(kinds, units, strict=True))


def annex_b(units: list[bytes]) -> bytes:
    """With start codes (H.264 B.1)."""
    return START + START.join(units)


def receiver_report(own: int, source: int, lost: int, highest: int) -> bytes:
    """RTCP receiver report with one block (RFC 3550 6.4.2), without times of sender reports."""
    block = source.to_bytes(4, "big") + b"\0" + min(lost, 0x7FFFFF).to_bytes(3, "big")
    block += (highest & 0xFFFFFFFF).to_bytes(4, "big") + bytes(12)
    return bytes([0x81, 201, 0, 7]) + own.to_bytes(4, "big") + block

"""Looking into H.264 and H.265 access units in Annex B form (ITU-T H.264 7.3.1 and 7.3.2.8, H.265 7.3.1.2 and 7.3.6.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av

_START = b"\0\0\1"
_PARAMETER_SETS = {"h264": {7, 8, 9}, "hevc": {32, 33, 34, 35}}
"""Sequence and picture parameter sets and access unit delimiters."""


def spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each NAL unit, without its start code; zeros before the next one count to the unit."""
    begin = data.find(_START)
    while begin >= 0:
        end = data.find(_START, begin + 3)
        yield begin + 3, end if end >= 0 else len(data)
        begin = end


def units(data: bytes) -> Iterator[bytes]:
    """NAL units without their start codes."""
    for begin, end in spans(data):
        unit = data[begin:end]
        yield unit.rstrip(b"\0") if end < len(data) else unit


def kind(unit: bytes, codec: str) -> int:
    """nal_unit_type."""
    return unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F


def continues_picture(data: bytes, codec: str) -> bool:
    """Whether the first slice in ``data`` is not the first of its picture: the access unit was cut in two on the way."""
    for unit in units(data):
        if len(unit) < 3:
            continue
        number = kind(unit, codec)
        if codec == "h264" and 1 <= number <= 5:
            # first_mb_in_slice is ue(v): zero is a single 1 bit.
            return not unit[1] & 0x80
        if codec == "hevc" and number < 32:
            return not unit[2] & 0x80
    return False


def join(first: Any, rest: Any, codec: str) -> Any:
    """One ``av.Packet`` out of the two halves of a picture; parameter sets repeated in between are left out."""
    sets = _PARAMETER_SETS[codec]
    slices = [unit for unit in units(bytes(rest)) if unit and kind(unit, codec) not in sets]
    joined = av.Packet(bytes(first) + b"".join(b"\0" + _START + unit for unit in slices))
    joined.pts = first.pts if first.pts is not None else rest.pts
    joined.dts = first.dts if first.dts is not None else rest.dts
    joined.time_base, joined.is_keyframe = rest.time_base, first.is_keyframe
    if first.duration:
        joined.duration = first.duration
    return joined


class PictureJoiner:
    """Puts pictures together again that a sender's repeated parameter sets cut in two.

    Some payloaders repeat the parameter sets before every slice of a keyframe, and FFmpeg's parser takes them for the start of a
    new picture. Keyframes are held back until the next packet shows whether they are whole; where the first ones were, they no
    longer are.
    """

    TRIALS = 3

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._able = codec in _PARAMETER_SETS
        self._held: tuple[Any, float] | None = None
        self._whole = 0

    def add(self, packet: Any, came: float) -> list[tuple[Any, float]]:
        """Packets that are complete now, each with the ``came`` of its last part."""
        if not self._able:
            return [(packet, came)]
        ready = []
        if self._held is not None:
            if continues_picture(bytes(packet), self._codec):
                self._held, self._whole = (join(self._held[0], packet, self._codec), came), 0
                return []
            self._whole += 1
            ready.append(self._held)
            self._held = None
        if packet.is_keyframe and self._whole < self.TRIALS:
            self._held = (packet, came)
        else:
            ready.append((packet, came))
        return ready

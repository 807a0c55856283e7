"""Where the coding of a transport stream's video changes: demuxers that saw the first program map keep reading by it.

ISO/IEC 13818-1: packets of 188 bytes, table 2-2; the program association table (PID 0) names the PIDs of program maps (2.4.4.3), a program map
names each elementary stream's type and PID (2.4.4.8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

PACKET = 188
LAYOUTS = ((0, PACKET), (4, 192), (0, 204))
"""Where a packet's sync byte stands and how far the next is: plain, with a time code before each packet (M2TS), with parity behind it."""
_SYNC = 0x47
_BLOCK = 1024 * 1024
_SURE = 4
"""Packets in a row whose sync bytes stand where they belong."""
_VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x24, 0x33, 0xD1})
"""MPEG-1 and -2 video, MPEG-4 visual, H.264, H.265, H.266, Dirac."""


def coding_borders(file: BinaryIO) -> list[int]:
    """Byte offsets at which video of another coding begins, each at the association table before its program map; none in most files.

    ``file`` is read from where it stands. What is no packet in it is passed over.
    """
    maps: set[int] = set()
    video: set[tuple[int, int]] = set()
    borders: list[int] = []
    table_at = 0
    for offset, pid, section in _sections(file):
        if pid == 0:
            table_at = offset
            maps |= _map_pids(section)
        elif pid in maps:
            found = _video_streams(section)
            if video and found and found != video:
                borders.append(table_at)
            video = found or video
    return borders


def layout_at(data: bytes, at: int = 0) -> tuple[int, int] | None:
    """Which of ``LAYOUTS`` packets have from ``at`` on; None where there are none."""
    for layout in LAYOUTS:
        first, size = at + layout[0], layout[1]
        places = range(first, min(len(data), first + _SURE * size), size)
        if places and all(data[place] == _SYNC for place in places):
            return layout
    return None


def _sections(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """(offset, PID, section) of each packet that begins a section of the association table or of what could be a program map."""
    for offset, packet in _starting_packets(file):
        start = 4
        if packet[3] & 0x20:  # an adaptation field comes first
            start += 1 + packet[4]
        # A pointer of zero and table 0 or 2; video packets begin with 00 00 01.
        if start + 4 < PACKET and packet[start] == 0 and packet[start + 1] in (0, 2) and packet[start + 2] & 0x80:
            yield offset, (packet[1] & 0x1F) << 8 | packet[2], packet[start + 1 :]


def _starting_packets(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(offset, packet) of those in which something begins."""
    offset, data = 0, b""
    layout: tuple[int, int] | None = None
    while block := file.read(_BLOCK):
        data, at = data + block, 0
        enough = len(data) - _SURE * LAYOUTS[-1][1] if len(block) == _BLOCK else len(data) - PACKET - 3
        while at < enough:
            if layout is None or data[at + layout[0]] != _SYNC:
                layout = layout_at(data, at)
                if layout is None:
                    sync = data.find(_SYNC, at + 1)
                    at = enough if sync < 0 else max(at + 1, sync - LAYOUTS[1][0])
                continue
            first, size = at + layout[0], layout[1]
            if data[first + 1] & 0x40:
                yield offset + at, data[first : first + PACKET]
            at += size
        offset, data = offset + at, data[at:]


def _entries(section: bytes) -> bytes:
    """A section from its table id on, up to its checksum."""
    length = (section[1] & 0x0F) << 8 | section[2]
    return section[: 3 + max(0, length - 4)]


def _map_pids(section: bytes) -> set[int]:
    body = _entries(section)
    rows = range(8, len(body) - 3, 4)
    return {(body[row + 2] & 0x1F) << 8 | body[row + 3] for row in rows if body[row] << 8 | body[row + 1]}


def _video_streams(section: bytes) -> set[tuple[int, int]]:
    """(PID, stream type) of the video in a program map."""
    body = _entries(section)
    if len(body) < 12:
        return set()
    row = 12 + ((body[10] & 0x0F) << 8 | body[11])
    found = set()
    while row + 4 < len(body):
        if body[row] in _VIDEO_TYPES:
            found.add(((body[row + 1] & 0x1F) << 8 | body[row + 2], body[row]))
        row += 5 + ((body[row + 3] & 0x0F) << 8 | body[row + 4])
    return found

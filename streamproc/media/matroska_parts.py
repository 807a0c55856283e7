"""Where the coding of a Matroska file's video changes: files that were put one behind the other, each with a header and tracks of its own, as the
service's GetMedia gives a stream whose camera was set otherwise. FFmpeg reads on by the first tracks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from streamproc.media import ebml

_HEADER = ebml.EBML.to_bytes(4, "big")
_BLOCK = 1024 * 1024
_MOST_HEADER = 128
"""Bytes of a header, at most; it names its document type."""
_MOST_BEFORE = 256 * 1024
"""Bytes from a header to the end of its tracks, at most; others are not compared."""
_VIDEO = 1
Coding = tuple[bytes, ...]


def coding_borders(file: BinaryIO) -> list[int]:
    """Byte offsets of the headers behind which video is coded otherwise than before; none in most files. ``file`` stands at its beginning."""
    borders: list[int] = []
    before: Coding | None = None
    for offset in _headers(file):
        coding = _coding(file, offset)
        if before is not None and coding is not None and coding != before:
            borders.append(offset)
        before = coding or before
    return borders


def _headers(file: BinaryIO) -> Iterator[int]:
    """Offsets of the files in the file. A segment that says its size is passed over unread."""
    offset = 0
    while (found := _next_header(file, offset)) is not None:
        yield found
        offset = max(found + 4, _end_of_segment(file, found))


def _next_header(file: BinaryIO, offset: int) -> int | None:
    while True:
        file.seek(offset)
        data = file.read(_BLOCK)
        at = data.find(_HEADER)
        while at >= 0:
            head = data[at : at + _MOST_HEADER]
            if b"matroska" in head or b"webm" in head:
                return offset + at
            at = data.find(_HEADER, at + 1)
        if len(data) < _BLOCK:
            return None
        offset += _BLOCK - _MOST_HEADER


def _end_of_segment(file: BinaryIO, offset: int) -> int:
    """0 where it does not say."""
    file.seek(offset)
    data = file.read(_MOST_HEADER + 16)
    try:
        segment = _segment(data)
    except ebml.MatroskaError:
        return 0
    return 0 if segment is None or segment[1] == ebml.UNKNOWN else offset + segment[2] + segment[1]


def _segment(data: bytes) -> tuple[int, int, int] | None:
    """The head of the segment behind the header that ``data`` begins with."""
    header = ebml.read_head(data, 0, len(data))
    if header is None or header[1] == ebml.UNKNOWN:
        return None
    segment = ebml.read_head(data, header[2] + header[1], len(data))
    return segment if segment is not None and segment[0] == ebml.SEGMENT else None


def _coding(file: BinaryIO, offset: int) -> Coding | None:
    """Codec and its parameters of each video track; None where the tracks are not found."""
    file.seek(offset, io.SEEK_SET)
    data = file.read(_MOST_BEFORE)
    try:
        segment = _segment(data)
        at = len(data) if segment is None else segment[2]
        while (head := ebml.read_head(data, at, len(data))) is not None:
            ident, size, begin = head
            if ident == ebml.CLUSTER or size == ebml.UNKNOWN or begin + size > len(data):
                return None
            if ident == ebml.TRACKS:
                return _of_tracks(data, begin, begin + size)
            at = begin + size
    except ebml.MatroskaError:
        pass
    return None


def _of_tracks(data: bytes, begin: int, end: int) -> Coding | None:
    found: list[bytes] = []
    for ident, first, last in ebml.children(data, begin, end):
        if ident != ebml.TRACK_ENTRY:
            continue
        parts = {inner: data[a:b] for inner, a, b in ebml.children(data, first, last)}
        if int.from_bytes(parts.get(ebml.TRACK_TYPE, b""), "big") == _VIDEO:
            found += [parts.get(ebml.CODEC_ID, b""), parts.get(ebml.CODEC_PRIVATE, b"")]
    return tuple(found) or None

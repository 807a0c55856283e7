"""EBML, the element format under Matroska: ids and sizes in, ids and sizes out. Pure.

Source: RFC 8794 (EBML) and RFC 9559 (Matroska), whose ids are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamproc.core.errors import MediaError

EBML, SEGMENT, SEEK_HEAD, VOID, CRC32 = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0xEC, 0xBF
INFO, TIMESTAMP_SCALE, SEGMENT_UID = 0x1549A966, 0x2AD7B1, 0x73A4
TRACKS, TRACK_ENTRY, TRACK_NUMBER, TRACK_TYPE, CODEC_ID, CODEC_PRIVATE = 0x1654AE6B, 0xAE, 0xD7, 0x83, 0x86, 0x63A2
DEFAULT_DURATION = 0x23E383
CLUSTER, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK, REFERENCE_BLOCK = 0x1F43B675, 0xE7, 0xA3, 0xA0, 0xA1, 0xFB
TAGS, TAG, SIMPLE_TAG, TAG_NAME, TAG_STRING = 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
CUES, ATTACHMENTS, CHAPTERS = 0x1C53BB6B, 0x1941A469, 0x1043A770

UNKNOWN = -1
"""The size of an element that ends where something begins that cannot be in it."""
UNKNOWN_SEGMENT = bytes.fromhex("1853806701FFFFFFFFFFFFFF")
"""A Segment's id and an unknown size in 8 bytes, as the service writes it."""

Buffer = bytes | bytearray | memoryview


class MatroskaError(MediaError):
    """The bytes are no Matroska."""


class TooLarge(MatroskaError):
    """A fragment beyond the limit."""


def read_head(data: Buffer, begin: int, end: int) -> tuple[int, int, int] | None:
    """(id, size or UNKNOWN, where its content begins) of the element at ``begin``; None where ``end`` cuts it short. Raises MatroskaError."""
    if begin >= end:
        return None
    first = data[begin]
    if first < 0x10:
        raise MatroskaError(f"0x{first:02x} begins no element id of up to 4 bytes")
    at = begin + 9 - first.bit_length()
    if at >= end:
        return None
    ident = int.from_bytes(data[begin:at], "big")
    first = data[at]
    if first == 0:
        raise MatroskaError(f"the element 0x{ident:X} has no size")
    length = 9 - first.bit_length()
    if at + length > end:
        return None
    mask = (1 << 7 * length) - 1
    size = int.from_bytes(data[at : at + length], "big") & mask
    return ident, UNKNOWN if size == mask else size, at + length


def children(data: Buffer, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(id, begin, end) of the content of each element within a complete one. Raises MatroskaError where they do not fit."""
    while begin < end:
        head = read_head(data, begin, end)
        if head is None or head[1] == UNKNOWN or head[2] + head[1] > end:
            raise MatroskaError("an element reaches over the end of the one that holds it")
        ident, size, at = head
        yield ident, at, at + size
        begin = at + size


def unsigned(data: Buffer, begin: int, end: int) -> int:
    """An unsigned number of up to 8 bytes. Raises MatroskaError."""
    if end - begin > 8:
        raise MatroskaError(f"a number of {end - begin} bytes")
    return int.from_bytes(data[begin:end], "big")


def text(data: Buffer, begin: int, end: int) -> str:
    """UTF-8, up to its first zero byte."""
    return bytes(data[begin:end]).split(b"\0", 1)[0].decode("utf-8", "replace")


def element(ident: int, content: bytes) -> bytes:
    """An element with its size in four bytes, as the service writes it."""
    return (
        ident.to_bytes((ident.bit_length() + 7) // 8, "big") + (0x10000000 | len(content)).to_bytes(4, "big") + content
    )


def tags(pairs: Iterable[tuple[str, str]]) -> bytes:
    """A Tags element with one Tag that holds names and texts."""
    simple = b"".join(
        element(SIMPLE_TAG, element(TAG_NAME, name.encode()) + element(TAG_STRING, value.encode()))
        for name, value in pairs
    )
    return element(TAGS, element(TAG, simple))


def read_tags(data: Buffer, begin: int, end: int) -> tuple[tuple[str, str], ...]:
    """Names and texts in a Tags element's content; binary ones and nested ones are left out. Raises MatroskaError."""
    found = []
    for ident, tag_begin, tag_end in children(data, begin, end):
        if ident != TAG:
            continue
        for inner, simple_begin, simple_end in children(data, tag_begin, tag_end):
            if inner != SIMPLE_TAG:
                continue
            parts = {part: text(data, at, stop) for part, at, stop in children(data, simple_begin, simple_end)}
            found.append((parts.get(TAG_NAME, ""), parts.get(TAG_STRING, "")))
    return tuple(found)

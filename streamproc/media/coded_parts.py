"""Files whose video changes its coding midway, as several files that do not: FFmpeg goes on reading by what it found first."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from streamproc.media import matroska_parts, mpegts

BORDERS = {"mpegts": mpegts.coding_borders, "matroska": matroska_parts.coding_borders}
"""What finds the borders, by FFmpeg's (first) name of the format. Others describe each coding where it begins, or have one alone."""


class FilePart(io.RawIOBase):
    """The bytes of a file from ``begin`` up to ``end`` (None: to its end) as a file of its own; the whole one stays open."""

    def __init__(self, file: BinaryIO, begin: int, end: int | None) -> None:
        self._file = file
        size = self._file.seek(0, io.SEEK_END)
        self._begin, self._end = begin, size if end is None else min(end, size)
        self._file.seek(begin)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() - self._begin

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._end - self._begin}[whence]
        self._file.seek(self._begin + max(0, base + offset))
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))


class CodedParts:
    """A file as its parts of one coding each, in most files a single one. One part is open at a time."""

    def __init__(self, open_whole: Callable[[], BinaryIO], container_format: str) -> None:
        """``open_whole``: opens the file at its beginning; what it gives is closed here. ``container_format``: see ``BORDERS``."""
        self._open_whole = open_whole
        self._whole: BinaryIO | None = None
        with open_whole() as whole:
            self._begins = [0, *BORDERS[container_format](whole)]

    def __len__(self) -> int:
        return len(self._begins)

    def open(self, part: int) -> FilePart:
        """As a file of its own, until another one is opened."""
        self.close()
        self._whole = self._open_whole()
        return FilePart(self._whole, self._begins[part], [*self._begins[1:], None][part])

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()

"""Ring of decision records on disk: blocks in segments, the oldest segments of the node overwritten by the newest."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from streamproc.core.decisions import ConditionRecord, Record
from streamproc.logic.trace_codec import HEADER, Header, decode, encode, next_block, read_header

SEGMENT_BYTES = 512_000
"""A segment is what is overwritten at once: a busy camera fills one in an hour or two."""

_SUFFIX = ".trace"
_FOLDER_SUFFIX = ".ring"
"""Of a processor's folder: no processor's name, not even ``..``, then leads elsewhere."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Where a block lies."""

    segment: Path
    offset: int
    """Of its body."""
    header: Header

    def read(self) -> tuple[list[ConditionRecord], list[Record]]:
        """Nothing where it is torn, or overwritten meanwhile."""
        try:
            with self.segment.open("rb") as file:
                file.seek(self.offset)
                body = file.read(self.header.length)
        except OSError:
            return [], []
        return decode(self.header, body) or ([], [])


class TraceRing:
    """``DIRECTORY/PROCESSOR.ring/NUMBER.trace``. Survives restarts; a torn block is skipped. Thread-safe.

    Nothing is synchronised: what a power cut loses is some seconds of explanations, never an event.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        """``max_bytes``: of all processors together."""
        self.directory = directory
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._current: dict[str, Path] = {}
        """The segment that is written to. A new process begins a new one: what stands behind a torn block could not be found."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def append(self, processor: str, records: Sequence[Record], conditions: Sequence[ConditionRecord]) -> int:
        """Write records (at least one) as one block; returns its bytes. ``conditions``: that held before the first. Raises OSError."""
        block = encode(records, conditions)
        with self._lock:
            segment, fresh = self._segment(processor)
            try:
                with segment.open("ab") as file:
                    file.write(block)
            except OSError:
                self._current.pop(processor, None)
                raise
            if fresh:
                self._make_room()
        return len(block)

    def read(self, processor: str, start: datetime, end: datetime) -> tuple[list[ConditionRecord], list[Record]]:
        """Conditions that began before the records, in order, and the records of every block that reaches into ``start`` to ``end``."""
        wanted: list[_Block] = []
        before: _Block | None = None
        for block in self._blocks(processor):
            if block.header.end < start:
                if before is None or block.header.end >= before.header.end:
                    before = block
            elif block.header.start <= end:
                wanted.append(block)
        earlier: list[ConditionRecord] = []
        records: list[Record] = []
        for block in [before, *wanted] if before is not None else wanted:
            conditions, found = block.read()
            earlier += conditions
            records += found
        return sorted(earlier, key=lambda each: each.at), records

    def forget(self, processor: str) -> None:
        """The processor was deleted."""
        with self._lock:
            self._current.pop(processor, None)
            shutil.rmtree(self._folder(processor), ignore_errors=True)

    # -- inside

    def _folder(self, processor: str) -> Path:
        return self.directory / f"{processor}{_FOLDER_SUFFIX}"

    def _segment(self, processor: str) -> tuple[Path, bool]:
        """The segment to append to, and whether it is a new one."""
        folder = self._folder(processor)
        folder.mkdir(exist_ok=True, mode=0o700)
        current = self._current.get(processor)
        if current is not None and current.exists() and current.stat().st_size < SEGMENT_BYTES:
            return current, False
        segments = _segments(folder)
        number = int(segments[-1].stem) + 1 if segments else 1
        self._current[processor] = folder / f"{number:08d}{_SUFFIX}"
        return self._current[processor], True

    def _make_room(self) -> None:
        """Remove the segments that were written to longest ago, but never the one that is written to now."""
        found = []
        for folder in self.directory.glob(f"*{_FOLDER_SUFFIX}"):
            found += [
                (status.st_mtime_ns, status.st_size, path) for path in _segments(folder) if (status := path.stat())
            ]
        found.sort()
        used = sum(size for _, size, _ in found)
        # A segment grows after it was made: room for it is made beforehand.
        for _, size, path in found[:-1]:
            if used + SEGMENT_BYTES <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            used -= size

    def _blocks(self, processor: str) -> Iterator[_Block]:
        for segment in _segments(self._folder(processor)):
            try:
                with segment.open("rb") as file:
                    yield from _blocks_of(segment, file)
            except FileNotFoundError:  # overwritten meanwhile
                continue


def _segments(folder: Path) -> list[Path]:
    """In the order in which they were written."""
    return sorted(path for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())


def _blocks_of(segment: Path, file: BinaryIO) -> Iterator[_Block]:
    """Headers only, as long as they follow one another; behind a torn one the next is searched for."""
    size, offset = os.fstat(file.fileno()).st_size, 0
    while offset < size:
        file.seek(offset)
        header = read_header(file.read(HEADER.size))
        if header is None or offset + HEADER.size + header.length > size:
            file.seek(offset)
            offset += next_block(file.read(), 1)
            continue
        yield _Block(segment, offset + HEADER.size, header)
        offset += HEADER.size + header.length

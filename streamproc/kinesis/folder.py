"""Fragments as files: ``DIRECTORY/STREAM/NUMBER.mkv``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

from streamproc.core.errors import InputError
from streamproc.durable import sync_folder
from streamproc.kinesis.index import FragmentIndex
from streamproc.kinesis.store import Entry, FragmentGone, FragmentTooLarge, NewFragment, StoreAway
from streamproc.media.matroska import MAX_FRAGMENT_BYTES
from streamproc.threads import ENDING, Threads

_BATCH = 100
_THREADS = 8
"""A folder that hangs (a dead network share) holds up its own calls and no other request of the node."""


class FolderFragments:
    """See ``store.FragmentStore``. A file and its folder are fsynced before the row that names it, and a row goes before its file."""

    def __init__(
        self,
        directory: Path,
        index: FragmentIndex,
        *,
        max_bytes: int,
        retention_ms: Callable[[str], int],
        max_fragment_bytes: int = MAX_FRAGMENT_BYTES,
    ) -> None:
        """``retention_ms``: how long a stream's fragments are kept."""
        self.max_fragment_bytes = min(max_fragment_bytes, max_bytes // 2)
        self._directory = directory
        self._index = index
        self._max_bytes = max_bytes
        self._retention_ms = retention_ms
        self._threads = Threads(f"fragments in {directory}", _THREADS)
        self._room = Lock()
        self._promised = 0
        """Bytes of files that are being written and have no row yet."""

    async def open(self) -> None:
        """Raises InputError where the folder cannot be used."""
        try:
            await self._threads.run(self._sweep)
        except OSError as error:
            raise InputError(f"kinesis_video.store: {self._directory} cannot be used: {error.strerror}") from None

    async def append(self, stream: str, fragment: NewFragment) -> None:
        if fragment.info.size > self.max_fragment_bytes:
            raise FragmentTooLarge(f"a fragment of {fragment.info.size} bytes; the limit is {self.max_fragment_bytes}")
        try:
            await self._threads.run(self._append, stream, fragment)
        except OSError as error:
            raise StoreAway(f"{self._directory}: {error.strerror or error}") from None

    async def read(self, entry: Entry) -> bytes:
        try:
            return await self._threads.run((self._directory / entry.place).read_bytes)
        except FileNotFoundError:
            raise FragmentGone(f"The fragment {entry.info.number} is no longer there.") from None
        except OSError as error:
            raise StoreAway(f"{self._directory}: {error.strerror or error}") from None

    async def prune(self, now_ms: int) -> int:
        return await self._threads.run(self._prune, now_ms)

    async def remove(self, entries: Sequence[Entry]) -> None:
        await self._threads.run(self._remove, entries)

    async def close(self) -> None:
        await ENDING.run(self._threads.shutdown)

    def _append(self, stream: str, fragment: NewFragment) -> None:
        with self._room:
            self._make_room(fragment.info.size)
            self._promised += fragment.info.size
        try:
            folder = folder_name(stream)
            place = f"{folder}/{fragment.info.number}.mkv"
            try:
                self._write(place, fragment.data)
            except FileNotFoundError:
                (self._directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
                sync_folder(self._directory)
                self._write(place, fragment.data)
            sync_folder(self._directory / folder)
            self._index.add([Entry(stream, fragment.info, fragment.digest, place)])
        finally:
            with self._room:
                self._promised -= fragment.info.size

    def _write(self, place: str, data: bytes) -> None:
        """Under its own name at once: nobody reads a file that has no row yet, and what has none is swept away at the next start."""
        path = self._directory / place
        with path.open("wb", buffering=0) as file:
            try:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                path.unlink(missing_ok=True)  # a part of it would lie there uncounted
                raise

    def _make_room(self, size: int) -> None:
        while self._index.bytes + self._promised + size > self._max_bytes:
            oldest = self._index.oldest(_BATCH)
            if not oldest:
                raise StoreAway(f"{self._directory} is full and every fragment in it is being read")
            excess = self._index.bytes + self._promised + size - self._max_bytes
            count, gone = 0, 0
            while count < len(oldest) and gone < excess:
                gone += oldest[count].info.size
                count += 1
            self._remove(oldest[:count])

    def _prune(self, now_ms: int) -> int:
        removed = 0
        for stream in self._index.streams():
            while old := self._index.older_than(stream, now_ms - self._retention_ms(stream), _BATCH):
                self._remove(old)
                removed += len(old)
        return removed

    def _remove(self, entries: Sequence[Entry]) -> None:
        self._index.remove(entries)
        for entry in entries:
            (self._directory / entry.place).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove files that no row names: the process was killed between the two."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = {folder_name(stream): stream for stream in self._index.streams()}
        for folder in self._directory.iterdir():
            stream = known.get(folder.name)
            for path in folder.iterdir() if folder.is_dir() else ():
                if stream is None or self._index.get(stream, path.stem) is None:
                    path.unlink(missing_ok=True)


@lru_cache(maxsize=1000)
def folder_name(stream: str) -> str:
    """A name that every file system takes: stream names may be dots, or longer than a file name."""
    return f"{stream[:100]}-{hashlib.sha256(stream.encode()).hexdigest()[:10]}"

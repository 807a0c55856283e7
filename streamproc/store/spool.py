"""Pictures of events on disk, from before the event is committed until it is cleaned away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path

from streamproc.core.event import Event, Pictures
from streamproc.durable import sync_folder, write_durably

_SAFE = re.compile(r"[A-Za-z0-9_.\-]{1,200}")
_SUFFIX = ".pictures"
_POINTER = b"@"


class Spool:
    """``DATA_DIR/spool/SESSION/EVENT_ID.pictures``: length of the frame (8 bytes, big-endian), frame, crop.

    One file, because each file that must be on disk costs a turn of the disk before the event may be told. One that begins with ``@``
    holds a mark only: the pictures lie ``elsewhere``.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.elsewhere: Callable[[str, str, str], Pictures | None] | None = None
        """Fetches pictures that lie in another place, by session, event id and mark. May block for seconds and raise StorageUnavailable."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, event: Event, pictures: Pictures) -> int:
        """Write and fsync both pictures and their folder; returns the bytes taken. Writing again replaces them at once."""
        self._write(event, packed(pictures))
        return len(pictures.frame) + len(pictures.crop)

    def point(self, event: Event, mark: str) -> None:
        """Write down that the pictures of an event lie elsewhere, and their mark there."""
        self._write(event, _POINTER + mark.encode())

    def points(self, session: str, event_id: str) -> bool:
        """Whether all that is here of an event's pictures is that they lie elsewhere."""
        try:
            with self._path(session, event_id).open("rb") as file:
                return file.read(1) == _POINTER
        except FileNotFoundError:
            return False

    def has(self, session: str, event_id: str) -> bool:
        """Whether the pictures of an event are still here."""
        return self._path(session, event_id).exists()

    def read(self, session: str, event_id: str) -> Pictures | None:
        """The pictures of an event, or None when they were cleaned away. Raises StorageUnavailable where they lie in a place that does not answer."""
        try:
            data = self._path(session, event_id).read_bytes()
        except FileNotFoundError:
            return None
        if data[:1] == _POINTER:  # no frame is so large that its length begins like this
            return self.elsewhere(session, event_id, data[1:].decode()) if self.elsewhere is not None else None
        return unpacked(data)

    def remove(self, session: str, event_id: str) -> None:
        """Forget the pictures of an event, and the session's folder with its last one."""
        path = self._path(session, event_id)
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()

    def sweep(self, known: Container[str], older_than_s: float = 60.0) -> int:
        """Remove pictures of events that were never committed (the process died in between); returns how many files.

        Young files are left alone: their event may be about to be committed.
        """
        removed = 0
        before = time.time() - older_than_s
        for folder in self.directory.iterdir():
            if not folder.is_dir():
                continue
            for file in folder.iterdir():
                if file.name.split(_SUFFIX)[0] not in known and file.stat().st_mtime <= before:
                    file.unlink(missing_ok=True)
                    removed += 1
            with suppress(OSError):
                folder.rmdir()
        return removed

    def waiting(self) -> list[tuple[str, str, int]]:
        """Session, event id and bytes of each file, oldest first."""
        files = [(file.stat(), file) for file in self.directory.glob(f"*/*{_SUFFIX}")]
        files.sort(key=lambda pair: pair[0].st_mtime)
        return [(file.parent.name, file.name.removesuffix(_SUFFIX), stat.st_size) for stat, file in files]

    def _write(self, event: Event, data: bytes) -> None:
        path = self._path(event.session, event.id)
        try:
            write_durably(path, data)
        except FileNotFoundError:
            # The session's first picture, or its last one was cleaned away this very moment.
            path.parent.mkdir(exist_ok=True, mode=0o700)
            sync_folder(self.directory)
            write_durably(path, data)
        sync_folder(path.parent)

    def _path(self, session: str, event_id: str) -> Path:
        """ValueError for ids that are no file names."""
        for part in (session, event_id):
            if not _SAFE.fullmatch(part) or part.startswith("."):
                raise ValueError(f"{part!r} cannot name a file; use letters, digits, '_', '.' and '-'")
        return self.directory / session / f"{event_id}{_SUFFIX}"


def packed(pictures: Pictures) -> bytes:
    """Both in one piece, as they lie in a file."""
    return len(pictures.frame).to_bytes(8, "big") + pictures.frame + pictures.crop


def unpacked(data: bytes) -> Pictures:
    """What was ``packed``."""
    cut = 8 + int.from_bytes(data[:8], "big")
    return Pictures(data[8:cut], data[cut:])

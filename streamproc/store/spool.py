"""Pictures of events on disk, from before the event is committed until it is cleaned away."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from streamproc.core.event import Event, Pictures

_SAFE = re.compile(r"[A-Za-z0-9_.\-]{1,200}")


class Spool:
    """``DATA_DIR/spool/SESSION/EVENT_ID.frame.jpg`` and ``.crop.jpg``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, event: Event, pictures: Pictures) -> int:
        """Write and fsync both pictures and their folder; returns the bytes taken. Writing again replaces them at once."""
        frame, crop = self.paths(event.session, event.id)
        folder = frame.parent
        if not folder.is_dir():
            folder.mkdir(exist_ok=True, mode=0o700)
            _sync_folder(self.directory)
        for path, data in ((frame, pictures.frame), (crop, pictures.crop)):
            _write_durably(path, data)
        _sync_folder(folder)
        return len(pictures.frame) + len(pictures.crop)

    def read(self, session: str, event_id: str) -> Pictures | None:
        """The pictures of an event, or None when they were cleaned away."""
        frame, crop = self.paths(session, event_id)
        try:
            return Pictures(frame.read_bytes(), crop.read_bytes())
        except FileNotFoundError:
            return None

    def remove(self, session: str, event_id: str) -> None:
        """Forget the pictures of an event, and the session's folder with its last one."""
        paths = self.paths(session, event_id)
        for path in paths:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            paths[0].parent.rmdir()

    def paths(self, session: str, event_id: str) -> tuple[Path, Path]:
        """Where frame and crop lie. ValueError for ids that are no file names."""
        for part in (session, event_id):
            if not _SAFE.fullmatch(part) or part.startswith("."):
                raise ValueError(f"{part!r} cannot name a file; use letters, digits, '_', '.' and '-'")
        folder = self.directory / session
        return folder / f"{event_id}.frame.jpg", folder / f"{event_id}.crop.jpg"

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
                event_id = file.name.split(".frame.jpg")[0].split(".crop.jpg")[0]
                if event_id not in known and file.stat().st_mtime <= before:
                    file.unlink(missing_ok=True)
                    removed += 1
            if not any(folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
        return removed


def _write_durably(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files that outlive a power cut, and that no reader ever sees half of."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Write and fsync a file beside its place, then rename it into place. Call ``sync_folder`` where its name must be durable too.

    The file beside it is hidden (``.NAME.part``); a crash may leave it there, and the next writing of the same file replaces it.
    """
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

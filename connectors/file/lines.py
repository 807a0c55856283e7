"""A JSON lines file that many events are appended to, each once, over crashes and restarts."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from pathlib import Path

_TAIL_BYTES = 4 * 1024 * 1024
"""More than what can have been appended without being confirmed before a crash."""
_REMEMBERED = 20_000


class LineFile:
    """Appends whole lines, flushed and fsynced. Not thread-safe: one caller at a time.

    The file may be moved or deleted while we run (log rotation): it is opened anew for each line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: OrderedDict[str, None] | None = None

    def append(self, line: str) -> bool:
        """Append ``line`` (without its end) unless it is there already; whether it was appended. OSError as the disk gives it."""
        if self._known is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._known = OrderedDict.fromkeys(_mend_and_read(self.path))
        key = line_key(line)
        if key in self._known:
            return False
        self._write(line.encode() + b"\n")
        self._known[key] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _write(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            descriptor = os.open(self.path, flags, 0o644)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, flags, 0o644)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, data)
                if written < len(data):
                    raise OSError(f"only {written} of {len(data)} bytes could be written to {self.path}")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)  # Half a line would swallow the next one.
                raise
        finally:
            os.close(descriptor)


def line_key(line: str) -> str:
    """What makes two lines one: the event's id and the form; for documents without an id the whole line."""
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if isinstance(document, dict):
        for name in ("id", "eventId"):
            if isinstance(document.get(name), str):
                return f"{name}:{document[name]}"
    return hashlib.sha256(line.encode()).hexdigest()


def _mend_and_read(path: Path) -> list[str]:
    """Keys of the last lines. A last line that was torn by a crash is cut off: its event is delivered again."""
    try:
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                torn = tail[tail.rfind(b"\n") + 1 :]
                if _is_json(torn):
                    file.write(b"\n")
                elif start == 0 or b"\n" in tail:
                    file.truncate(size - len(torn))
                    tail = tail[: len(tail) - len(torn)]
                os.fsync(file.fileno())
    except FileNotFoundError:
        return []
    lines = tail.decode("utf-8", "replace").splitlines()
    return [line_key(line) for line in (lines[1:] if start else lines) if line.strip()]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True

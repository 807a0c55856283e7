"""Notices of changes in the config folder, from a thread of their own: a folder that hangs must not hold up the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from watchfiles import watch

from streamproc.config.folder import PROCESSORS
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

AGAIN_S = 10.0
"""Without notices (no inotify watches or descriptors left) the scans alone find the changes; then it is tried again."""


class Notices:
    """Calls ``changed`` in the loop. Only the two folders that are read are watched: outputs may lie below them, with many pictures or on a dead share."""

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="config notices", daemon=True).start()

    def close(self) -> None:
        """The thread ends by itself, within a second where the folder answers."""
        self._stop.set()

    def _run(self) -> None:
        trouble = Trouble("config_notices_failed", "config_notices_come_again")
        while not self._stop.is_set():
            try:
                self._watch()
                trouble.over()
            except Exception as error:  # noqa: BLE001 - the boundary of the thread: it goes on as long as the process
                trouble.met(repr(error), bug=error)
                self._stop.wait(AGAIN_S)

    def _folders(self) -> list[Path]:
        return [self._folder, *(place for place in (self._folder / PROCESSORS,) if place.is_dir())]

    def _watch(self) -> None:
        """Until told to stop, or there are other folders to watch."""
        folders = self._folders()
        inodes = [place.stat().st_ino for place in folders]
        heard = watch(
            *folders,
            debounce=200,
            step=50,
            stop_event=self._stop,
            rust_timeout=1000,
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
        )
        for changes in heard:
            if changes:
                with suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._changed)
            if [place.stat().st_ino for place in self._folders()] != inodes:
                return

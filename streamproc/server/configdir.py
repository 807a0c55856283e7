"""The config folder while the daemon runs: a new file is a processor, an edit an update, a removed file a deletion."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import structlog

from connectors.catalog import check
from streamproc.config.folder import processor_files
from streamproc.config.load import load_processor
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import ConfigError, Fault, StorageUnavailable, StreamprocError
from streamproc.live.desired import Reconciler
from streamproc.server.nodefile import NodeFile
from streamproc.server.notices import Notices
from streamproc.threads import CONTROL
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

SETTLE_S = 0.3
"""Editors write a file in several steps: what looks broken, empty or removed is looked at again after so long."""
RESCAN_S = 5.0
"""Network folders and containers lose change notices."""


class ConfigDir:
    """Follows the processors' files of one folder, and says what they want. What comes of it is the reconciler's business."""

    def __init__(self, folder: Path, desired: Reconciler, node_file: NodeFile) -> None:
        self.folder = folder
        self._desired = desired
        self._node_file = node_file
        self._seen: dict[Path, str] = {}
        """Content hash of what was last reported, by file."""
        self._busy = asyncio.Lock()
        self._broken = Trouble("config_scan_failed", "config_is_scanned_again")
        self._away = Trouble("config_folder_is_away", "config_folder_is_back", folder=str(folder))
        self._waiting: dict[str, Trouble] = {}
        """Processors whose files wait for storage."""

    async def watch(self, stop: asyncio.Event) -> None:
        """Until ``stop``: scan on every change, and now and then."""
        changed = asyncio.Event()
        notices = Notices(self.folder, changed.set)
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                changed.clear()
                try:
                    await self.scan()
                    self._broken.over()
                except Exception as error:  # noqa: BLE001 - the watch's boundary: one bad moment must not end it for good
                    self._broken.met(repr(error), bug=error)
                hearing = asyncio.create_task(changed.wait())
                await asyncio.wait((stopping, hearing), timeout=RESCAN_S, return_when=asyncio.FIRST_COMPLETED)
                hearing.cancel()
        finally:
            stopping.cancel()
            notices.close()

    async def scan(self) -> None:
        """Report whatever is different now."""
        async with self._busy:
            if not await CONTROL.run(self.folder.is_dir):
                # An unmounted share is no order to delete every processor.
                self._away.met("it is no folder now")
                return
            self._away.over()
            await self._node_file.scan()
            files = await CONTROL.run(processor_files, self.folder)
            gone = [path for path in self._seen if path not in files]
            if gone:
                await asyncio.sleep(SETTLE_S)
                files = await CONTROL.run(processor_files, self.folder)
                gone = [path for path in gone if path not in files]
            for path in gone:
                del self._seen[path]
            self._desired.withdraw_all_but(set(files.values()))
            owners: dict[str, Path] = {}
            for path, name in files.items():
                owners.setdefault(name, path)
            await asyncio.gather(*(self._file(path, name, owners[name]) for path, name in files.items()))

    async def _file(self, path: Path, name: str, owner: Path) -> None:
        digest = await CONTROL.run(_digest, path)
        if digest is None or self._seen.get(path) == digest:
            return
        try:
            if owner != path:
                raise ConfigError(str(path), [Fault("", f"{owner} is also called {name}; rename one of them")])
            config = await self._load(path, digest)
            if config is None:
                return  # it is being written; the next scan sees it whole
            await self._desired.declare(name, config)
            self._seen[path] = digest
            if name in self._waiting:
                self._waiting.pop(name).over()
        except ConfigError as error:
            self._refuse(path, name, digest, error)
        except StorageUnavailable as error:  # nothing is wrong with the file: the next scan declares it again
            self._waiting.setdefault(name, Trouble("config_waits", "config_taken", processor=name)).met(error)
        except StreamprocError as error:
            self._refuse(path, name, digest, ConfigError(str(path), [Fault("", str(error))]))

    async def _load(self, path: Path, digest: str) -> ProcessorConfig | None:
        try:
            return await CONTROL.run(load_processor, path, check)
        except ConfigError:
            await asyncio.sleep(SETTLE_S)
            now = await CONTROL.run(_digest, path)
            if now != digest:
                return None
            return await CONTROL.run(load_processor, path, check)

    def _refuse(self, path: Path, name: str, digest: str, error: ConfigError) -> None:
        """Say why, on one line; the last good version goes on."""
        self._seen[path] = digest
        fault = error.faults[0]
        line = fault.text(error.file)
        more = len(error.faults) - 1
        self._desired.refuse(name, line + (f" (and {more} more)" if more else ""))
        kept = "the last good version keeps running" if self._desired.known(name) else "there is no processor of it yet"
        log.error("config_refused", problem=line, processor=name, kept=kept)


def _digest(path: Path) -> str | None:
    """Of the content; None where the file is gone. A file that cannot be read has a constant one: loading it says why."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"unreadable: {error.strerror}"

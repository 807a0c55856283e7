"""The config folder, kept true: a new file is a processor, an edit an update, a removed file a deletion."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from watchfiles import awatch

from connectors.catalog import check
from streamproc.config.folder import processor_files
from streamproc.config.load import load_processor
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import ConfigError, Fault, StreamprocError
from streamproc.live.supervisor import Supervisor
from streamproc.server.nodefile import NodeFile

log = structlog.get_logger(__name__)

SETTLE_S = 0.3
"""Editors write a file in several steps: what looks broken, empty or removed is looked at again after so long."""
RESCAN_S = 5.0
"""Network folders and containers lose change notices."""


@dataclass
class ConfigDir:
    """Follows the processors' files of one folder. ``scan`` is also the answer to SIGHUP."""

    folder: Path
    supervisor: Supervisor
    node_file: NodeFile = field(init=False)
    _seen: dict[Path, str] = field(default_factory=dict)
    """Content hash of what was last acted on, by file."""
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.node_file = NodeFile(self.folder, self.supervisor)

    async def watch(self, stop: asyncio.Event) -> None:
        """Until ``stop``: scan on every change, and now and then."""
        watcher = asyncio.create_task(self._notices(stop))
        try:
            while not stop.is_set():
                try:
                    await self.scan()
                except Exception:  # the watch's boundary: one bad moment must not end it for good
                    log.exception("config_scan_failed")
                try:
                    await asyncio.wait_for(stop.wait(), RESCAN_S)
                except TimeoutError:
                    continue
        finally:
            watcher.cancel()

    async def _notices(self, stop: asyncio.Event) -> None:
        async for _ in awatch(self.folder, stop_event=stop, debounce=200, step=50, recursive=True, rust_timeout=1000):
            try:
                await self.scan()
            except Exception:  # as above
                log.exception("config_scan_failed")

    async def scan(self) -> None:
        """Act on whatever is different now."""
        async with self._busy:
            if not self.folder.is_dir():
                # An unmounted share is no order to delete every processor.
                log.warning("config_folder_is_away", folder=str(self.folder))
                return
            await self.node_file.scan()
            files = await asyncio.to_thread(processor_files, self.folder)
            gone = [path for path in self._seen if path not in files]
            if gone:
                await asyncio.sleep(SETTLE_S)
                files = await asyncio.to_thread(processor_files, self.folder)
                gone = [path for path in gone if path not in files]
            for path in gone:
                del self._seen[path]
            names = set(files.values())
            removed = [name for name in self.supervisor.names("file") if name not in names]
            for name in [*self.supervisor.refused]:
                if name not in names:
                    self.supervisor.refused.pop(name)
            owners: dict[str, Path] = {}
            for path, name in files.items():
                owners.setdefault(name, path)
            changed = [self._file(path, name, owners[name]) for path, name in files.items()]
            await asyncio.gather(*(self._remove(name) for name in removed), *changed)

    async def _remove(self, name: str) -> None:
        view = await self.supervisor.view(name)
        if view.state in ("starting", "running", "stopping"):
            await self.supervisor.stop(name)
        await self.supervisor.delete(name)

    async def _file(self, path: Path, name: str, owner: Path) -> None:
        digest = await asyncio.to_thread(_digest, path)
        if digest is None or self._seen.get(path) == digest:
            return
        try:
            if owner != path:
                raise ConfigError(str(path), [Fault("", f"{owner} is also called {name}; rename one of them")])
            config = await self._load(path, digest)
            if config is None:
                return  # it is being written; the next scan sees it whole
            self._seen[path] = digest
            await self._apply(name, config, path)
            self.supervisor.refused.pop(name, None)
        except ConfigError as error:
            self._refuse(path, name, digest, error)
        except StreamprocError as error:
            self._refuse(path, name, digest, ConfigError(str(path), [Fault("", str(error))]))

    async def _load(self, path: Path, digest: str) -> ProcessorConfig | None:
        try:
            return await asyncio.to_thread(load_processor, path, check)
        except ConfigError:
            await asyncio.sleep(SETTLE_S)
            now = await asyncio.to_thread(_digest, path)
            if now != digest:
                return None
            return await asyncio.to_thread(load_processor, path, check)

    def _refuse(self, path: Path, name: str, digest: str, error: ConfigError) -> None:
        """Say why, on one line; the last good version goes on."""
        self._seen[path] = digest
        fault = error.faults[0]
        line = fault.text(error.file)
        more = len(error.faults) - 1
        self.supervisor.refused[name] = line + (f" (and {more} more)" if more else "")
        kept = (
            "the last good version keeps running" if self.supervisor.known(name) else "there is no processor of it yet"
        )
        log.error(f"{line}", kind="refused", processor=name, kept=kept)

    async def _apply(self, name: str, config: ProcessorConfig, path: Path) -> None:
        if not self.supervisor.known(name):
            await self.supervisor.create(name, config, "file")
        elif name not in self.supervisor.names("file"):
            mend = "rename the file, or delete that one first"
            raise ConfigError(str(path), [Fault("", f"a processor {name} was made by the control API; {mend}")])
        else:
            await self.supervisor.update(name, config, "file")
        view = await self.supervisor.view(name)
        if config.state == "running":
            await self.supervisor.bring_up(name)
        elif view.state in ("starting", "running"):
            await self.supervisor.stop(name)
        else:
            await self.supervisor.settle(name)


def _digest(path: Path) -> str | None:
    """Of the content; None where the file is gone. A file that cannot be read has a constant one: loading it says why."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"unreadable: {error.strerror}"

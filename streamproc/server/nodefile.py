"""``streamproc.yaml`` while the daemon runs: what can be applied is applied, and the log says which keys wait for a restart."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import structlog

from connectors.catalog import check
from streamproc.config.folder import NODE_FILE
from streamproc.config.load import load_node
from streamproc.config.node import NodeConfig
from streamproc.core.errors import ConfigError, StreamprocError
from streamproc.live.supervisor import Supervisor
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)

APPLIED = ("cpu_target", "outbox", "history", "outputs")
"""Keys that the running supervisor takes up; everything else is built into what was made at the start."""
SETTLE_S = 0.3
"""Editors write a file in several steps."""


class NodeFile:
    """The box's document of one folder. ``scan`` after every change of it; a refused document changes nothing."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self.path = folder / NODE_FILE
        self._supervisor = supervisor
        self._seen: str | None = None
        self._known: NodeConfig | None = None

    async def scan(self) -> None:
        """The first one only remembers what the daemon was started with."""
        digest = await CONTROL.run(self._digest)
        if self._known is not None and digest == self._seen:
            return
        try:
            try:
                node = await CONTROL.run(load_node, self.path, check)
            except ConfigError:
                await asyncio.sleep(SETTLE_S)
                if await CONTROL.run(self._digest) != digest:
                    return  # it is being written; the next scan sees it whole
                raise
            before, self._known, self._seen = self._known, node, digest
            if before is not None:
                await self._adopt(before, node)
        except ConfigError as error:
            self._seen = digest
            problem = error.faults[0].text(error.file)
            log.error("config_refused", problem=problem, kept="what was read before stays in force")
        except StreamprocError as error:
            log.error("config_refused", problem=f"{self.path}: {error}", kept="what could be applied is applied")

    async def _adopt(self, before: NodeConfig, after: NodeConfig) -> None:
        changed = [key for key in NodeConfig.model_fields if getattr(before, key) != getattr(after, key)]
        if not changed:
            return
        applied = [key for key in changed if key in APPLIED]
        waiting = [key for key in changed if key not in APPLIED]
        say = log.warning if waiting else log.info
        say("box_file_changed", applied=applied, needs_restart=waiting)
        if applied:
            await self._supervisor.adopt(after)

    def _digest(self) -> str | None:
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"unreadable: {error.strerror}"

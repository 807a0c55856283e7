"""A supervisor in memory, faithful in what the endpoint sees of the real one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

from streamproc.aws.ports import ProcessorView
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import AlreadyExists, InUse, NotFound
from streamproc.core.start import StartRequest


class MemoryProcessors:
    """Sources connect when ``run`` says so; an unbound one fails at once."""

    def __init__(self) -> None:
        self.rows: dict[str, ProcessorView] = {}
        self.starts: list[tuple[str, StartRequest]] = []
        self._ids = itertools.count(1)

    def _row(self, name: str) -> ProcessorView:
        if name not in self.rows:
            raise NotFound(f"there is no processor {name!r}")
        return self.rows[name]

    def _set(self, name: str, **changes: object) -> ProcessorView:
        self.rows[name] = replace(self._row(name), updated=datetime.now(UTC), **changes)  # type: ignore[arg-type]
        return self.rows[name]

    async def create(self, name: str, config: ProcessorConfig) -> ProcessorView:
        if name in self.rows:
            raise AlreadyExists(name)
        config = ProcessorConfig.model_validate(config.model_dump(mode="json"))  # as a store would
        now = datetime.now(UTC)
        self.rows[name] = ProcessorView(name, config, "stopped", None, now, now)
        return self.rows[name]

    async def view(self, name: str) -> ProcessorView:
        return self._row(name)

    async def views(self) -> list[ProcessorView]:
        return sorted(self.rows.values(), key=lambda view: view.name)

    def state_elsewhere(self, name: str) -> str | None:
        return None

    async def start(self, name: str, request: StartRequest) -> str:
        view = self._row(name)
        if view.state not in ("stopped", "failed"):
            raise InUse(name)
        self.starts.append((name, request))
        if view.config.source.type == "unbound":
            self._set(name, state="failed", message=view.config.source.options["reason"])
        else:
            self._set(name, state="starting", message=None)
        return f"session-{next(self._ids)}"

    def run(self, name: str) -> None:
        self._set(name, state="running")

    def end(self, name: str) -> None:
        self._set(name, state="stopped")

    async def stop(self, name: str) -> None:
        if self._row(name).state not in ("starting", "running"):
            raise InUse(name)
        self._set(name, state="stopped")

    async def update(self, name: str, config: ProcessorConfig) -> ProcessorView:
        return self._set(name, config=ProcessorConfig.model_validate(config.model_dump(mode="json")))

    async def delete(self, name: str) -> None:
        if self._row(name).state not in ("stopped", "failed"):
            raise InUse(name)
        del self.rows[name]

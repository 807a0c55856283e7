"""What the endpoint calls: the supervisor of processors, as it needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streamproc.config.processor import ProcessorConfig
from streamproc.core.start import StartRequest
from streamproc.live.view import ProcessorView

__all__ = ["ProcessorApi", "ProcessorView"]


class ProcessorApi(Protocol):
    """The way into control. Every method raises NotFound for an unknown name."""

    async def create(self, name: str, config: ProcessorConfig) -> ProcessorView:
        """A new processor, stopped. Raises AlreadyExists."""
        ...

    async def view(self, name: str) -> ProcessorView: ...

    async def views(self) -> list[ProcessorView]:
        """All of them, by name."""
        ...

    state_elsewhere: Callable[[str], str | None]
    """The state of a processor on another node that runs it; None: what ``view`` says is so."""

    async def start(self, name: str, request: StartRequest) -> str:
        """The id of the session that begins. Returns before the source is connected. Raises InUse while it is active."""
        ...

    async def stop(self, name: str) -> None:
        """Returns when its session has ended. Raises InUse where there is nothing to stop."""
        ...

    async def update(self, name: str, config: ProcessorConfig) -> ProcessorView:
        """Another document for it."""
        ...

    async def delete(self, name: str) -> None:
        """Raises InUse while it runs."""
        ...

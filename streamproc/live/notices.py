"""Who hears what becomes of processors: events that became durable, runs that begin, states that change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from streamproc.core.event import Event


class Notices:
    """Listeners are called in the event loop, in the order in which they were appended; they come and go at any time."""

    def __init__(self) -> None:
        self.committed: list[Callable[[Sequence[Event]], None]] = []
        """Hear events that have just become durable."""
        self.runs: list[Callable[[str], None]] = []
        """Hear the name of a processor whose run is about to begin to read."""
        self.states: list[Callable[[str], None]] = []
        """Hear the name of a processor whose state or document has changed, or which is gone."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Where listeners are called. Before, events are told to nobody."""
        self._loop = loop

    def tell_committed(self, events: Sequence[Event]) -> None:
        """Any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, events)

    def _tell(self, events: Sequence[Event]) -> None:
        for listener in tuple(self.committed):
            listener(events)

    def tell_run(self, name: str) -> None:
        for listener in tuple(self.runs):
            listener(name)

    def tell_state(self, name: str) -> None:
        for listener in tuple(self.states):
            listener(name)

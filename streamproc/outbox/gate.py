"""Whether this node is the one to deliver what a processor owes, and who hears what has been settled. Alone it always is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from streamproc.core.errors import SinkBusy
from streamproc.core.event import Event


async def always(processor: str, session: str) -> bool:
    return True


class Gate:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self.is_open: Callable[[str, str], Awaitable[bool]] = always
        """Asked with the processor and the session before each delivery, as of now."""
        self.settled: Callable[[str, Event], None] = lambda output, event: None
        """Told of an output and an event that it has confirmed or refused for good. Must be quick."""

    async def enter(self, processor: str, session: str) -> None:
        """Raises SinkBusy where it is closed now."""
        if not await self.is_open(processor, session):
            raise SinkBusy("waits for the cluster: it does not say now that this node is the one to deliver")

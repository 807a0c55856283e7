"""The source ``unbound``: refuses with its reason, so that a wrong name fails the way a wrong camera does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from connectors.context import ConnectorContext
from connectors.unbound.settings import UnboundSourceSettings
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import SourceRefused
from streamproc.core.media import StreamItem


class UnboundSource:
    """Never yields anything."""

    traits = SourceTraits(live=True)

    def __init__(self, settings: UnboundSourceSettings, context: ConnectorContext) -> None:
        self._reason = settings.reason

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        raise SourceRefused(self._reason)

    def position(self) -> Position | None:
        return None

    def durable(self, position: Position) -> None:
        pass

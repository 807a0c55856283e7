"""Events on standard output."""

from __future__ import annotations

import sys
import threading
from functools import partial

from connectors.context import ConnectorContext
from connectors.stdout.settings import StdoutSinkSettings
from streamproc.contracts import Delivery
from streamproc.core.errors import SinkBusy, SinkRejected
from streamproc.plain import to_line, to_text
from streamproc.threads import OneAtATime, StillBusy

_THREAD = OneAtATime("stdout")
_LOCK = threading.Lock()
"""Lines of several processors must not mix."""


class StdoutSink:
    """Writes and flushes a line an event."""

    guarantee = (
        "every event at least once, in the order of its session; after a crash the last ones may be printed again under "
        "the same ids. When nobody reads the pipe any more, events go to the dead letters"
    )

    def __init__(self, settings: StdoutSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings

    async def deliver(self, delivery: Delivery) -> None:
        if self._settings.style == "text":
            line = to_text(delivery.event)
        else:
            line = to_line(delivery.document(self._settings.format))
        try:
            await _THREAD.run(delivery.event.id, partial(_write, line))
        except StillBusy as error:
            raise SinkBusy(f"nobody reads standard output: {error}") from error
        except (BrokenPipeError, ValueError) as error:  # ValueError: the stream was closed.
            raise SinkRejected(f"standard output is closed: {error}") from error

    async def aclose(self) -> None:
        """Standard output is not ours to close."""


def _write(line: str) -> None:
    with _LOCK:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

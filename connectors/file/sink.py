"""Events as JSON lines in a folder, with their pictures beside them."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

from connectors.context import ConnectorContext
from connectors.file.lines import LineFile
from connectors.file.settings import FileSinkSettings
from streamproc.contracts import NOWHERE, Delivery, Images
from streamproc.core.errors import SinkBusy
from streamproc.core.event import Event, Pictures
from streamproc.durable import write_durably
from streamproc.plain import to_line
from streamproc.threads import OneAtATime, StillBusy


class FileSink:
    """Pictures first, then the line: whoever reads a line finds its pictures."""

    guarantee = (
        "every event once, in the order of its session; on disk (fsync) before it counts as delivered. "
        "After a crash the ids of the file's last 4 MB are read, so that no line is written twice"
    )

    def __init__(self, settings: FileSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        # Not resolve(): a dead network share answers no question, and this is the event loop.
        self.directory = Path(os.path.abspath(context.path(settings.directory)))  # noqa: PTH100
        self._lines = LineFile(self.directory / f"{settings.stream or context.processor}.jsonl")
        self._lock = asyncio.Lock()
        self._thread = OneAtATime(f"file {context.processor}")

    def locate(self, event: Event) -> Images:
        """Absolute paths."""
        if not (event.has_pictures and self._settings.pictures):
            return NOWHERE
        name = f"{event.id}.jpg"
        return Images(str(self.directory / "frames" / name), str(self.directory / "crops" / name))

    async def deliver(self, delivery: Delivery) -> None:
        async with self._lock:
            try:
                await self._thread.run(delivery.event.id, partial(self._write, delivery))
            except StillBusy as error:
                raise SinkBusy(f"{self.directory} does not answer: {error}") from error
            except OSError as error:
                raise SinkBusy(f"cannot write to {self.directory}: {error.strerror or error}") from error

    async def aclose(self) -> None:
        """Nothing stays open; a write that hangs is left behind."""
        self._thread.close()

    def _write(self, delivery: Delivery) -> None:
        images = self.locate(delivery.event) if delivery.pictures is not None else NOWHERE
        if delivery.pictures is not None and images != NOWHERE:
            _write_pictures(images, delivery.pictures)
        # The service's form names the pictures where its other readers find them, the plain form those beside it.
        own = images if images != NOWHERE and self._settings.format == "plain" else None
        self._lines.append(to_line(delivery.document(self._settings.format, own)))


def _write_pictures(images: Images, pictures: Pictures) -> None:
    for place, data in ((images.frame, pictures.frame), (images.crop, pictures.crop)):
        assert place is not None
        path = Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)

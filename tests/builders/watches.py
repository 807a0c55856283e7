"""A source that runs in a thread, and what it gave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from streamproc.contracts import Position, Source
from streamproc.core.media import Frame, Gap, Packet, StreamItem
from streamproc.media.decode import Decoder


class Watch:
    """Runs a source in a thread of its own, as the daemon does, and keeps what came. ``pause_s``: how long each item keeps it busy."""

    def __init__(self, source: Source, resume: Position | None = None, pause_s: float = 0.0) -> None:
        self.source = source
        self.items: list[StreamItem] = []
        self.positions: list[Position | None] = []
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._pause_s = pause_s
        self._thread = threading.Thread(target=self._run, args=(resume,), daemon=True)
        self._thread.start()

    def _run(self, resume: Position | None) -> None:
        try:
            for item in self.source.items(self._stop, resume):
                self.items.append(item)
                self.positions.append(self.source.position())
                time.sleep(self._pause_s)
        except BaseException as error:
            self.error = error

    @property
    def packets(self) -> list[Packet]:
        return [item for item in list(self.items) if isinstance(item, Packet)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in list(self.items) if isinstance(item, Gap)]

    def frames(self, after: Fraction | None = None) -> list[Frame]:
        decoder = Decoder(after=after)
        return [frame for packet in self.packets for frame in decoder.decode(packet)]

    def until(self, true: Callable[[], Any], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{len(self.items)} items after {seconds} s; {self.error!r}"
            time.sleep(0.02)

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self, seconds: float = 10) -> bool:
        """Whether the source let go of its thread in time."""
        self._stop.set()
        self._thread.join(seconds)
        return self.ended()

    def finish(self) -> None:
        """Five seconds are what a source has to let go, however busy."""
        assert self.stop(5)

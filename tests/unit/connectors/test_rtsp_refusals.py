"""A camera that refuses: not believed at once, for it may still be booting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.context import ConnectorContext
from connectors.rtsp.settings import RtspSourceSettings
from connectors.rtsp.source import REFUSALS_BELIEVED, RtspSource
from streamproc.core.errors import SourceRefused
from streamproc.core.media import StreamItem
from streamproc.logic.backoff import Backoff, BackoffRule


class Booting(RtspSource):
    """Its connections refuse so often before one works. The protocol itself is held by the tests on a real server."""

    def __init__(self, refusals: int) -> None:
        super().__init__(RtspSourceSettings(url="rtsp://camera/one"), ConnectorContext("door"))
        self.left = refusals
        self._backoff = Backoff(BackoffRule(first_s=0.01, cap_s=0.01), self._backoff._random)

    def _connected(self, stop: threading.Event) -> Iterator[Any]:
        if self.left > 0:
            self.left -= 1
            raise SourceRefused("401 Unauthorized")
        yield "a packet"


def test_one_refusal_on_the_first_connect_after_a_power_cut_is_retried() -> None:
    items: list[StreamItem] = list(Booting(REFUSALS_BELIEVED - 1).items(threading.Event()))
    assert items == ["a packet"]


def test_repeated_refusals_are_believed() -> None:
    with pytest.raises(SourceRefused, match="401"):
        list(Booting(REFUSALS_BELIEVED).items(threading.Event()))

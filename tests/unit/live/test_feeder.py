"""The thread that reads a source: however the source ends, its lane hears of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streamproc.contracts import Position
from streamproc.core.errors import SourceRefused
from streamproc.core.media import EndOfStream, StreamItem
from streamproc.live.feeder import Feeder, ItemObserver
from streamproc.pipeline.observers import Observers


class BrokenSource:
    def __init__(self, error: BaseException | None) -> None:
        self._error = error

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        if self._error is not None:
            raise self._error
        yield from ()

    def position(self) -> Position | None:
        return None


class ListeningLane:
    def __init__(self) -> None:
        self.said = ""
        self.heard = threading.Event()

    def offer(self, item: StreamItem, position: Position | None, stop: threading.Event) -> bool:
        self.said = type(item).__name__
        self.heard.set()
        return True

    def source_failed(self, reason: str) -> None:
        self.said = reason
        self.heard.set()


def heard_of(error: BaseException | None) -> str:
    source: Any = BrokenSource(error)
    lane: Any = ListeningLane()
    feeder = Feeder("door", source, lane, Observers[ItemObserver]())
    feeder.start()
    assert lane.heard.wait(10) and feeder.stop(30)
    return str(lane.said)


def test_the_lane_hears_of_an_end_and_of_a_refusal() -> None:
    assert heard_of(None) == EndOfStream.__name__
    assert heard_of(SourceRefused("wrong password")) == "wrong password"


@pytest.mark.logs_errors("source_broke")
@pytest.mark.parametrize(
    "error", [KeyError("x"), asyncio.CancelledError()], ids=["bug", "cancelled by a client library"]
)
def test_the_lane_hears_of_what_nobody_expected(error: BaseException) -> None:
    assert heard_of(error) == (str(error) or type(error).__name__)

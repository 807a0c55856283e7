"""A camera's newest picture is written once, however many ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from streamproc.live import stills
from streamproc.live.notices import Notices
from streamproc.live.stills import Stills
from streamproc.live.supervisor import Supervisor

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Run:
    """Of a camera: whoever looks on is told of frames."""

    def __init__(self) -> None:
        self.observers: set[Any] = set()
        self.lane = SimpleNamespace(frames=self)
        self.analyses = SimpleNamespace(hides=lambda picture: ())

    def show(self, second: int) -> None:
        picture = SimpleNamespace(bgr=lambda max_width: np.full((90, 160, 3), second, np.uint8))
        frame = SimpleNamespace(picture=picture, at=SimpleNamespace(wall=BEGIN + timedelta(seconds=second)))
        for observer in self.observers:
            observer(frame, [])


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Stills, list[int]]:
    run, written = Run(), [0]
    supervisor = SimpleNamespace(notices=Notices(), run_of=lambda name: run, known=lambda name: True)
    encode = stills.jpeg.encode

    def counted(image: Any) -> bytes:
        written[0] += 1
        threading.Event().wait(0.05)
        return encode(image)

    monkeypatch.setattr(stills.jpeg, "encode", counted)
    made = Stills(cast(Supervisor, supervisor))
    made.open()
    supervisor.notices.runs[0]("door")
    return run, made, written


def test_who_asks_while_it_is_written_gets_the_same(camera: tuple[Run, Stills, list[int]]) -> None:
    run, made, written = camera
    assert made.get("door") is None
    run.show(1)
    with ThreadPoolExecutor(8) as several:
        found = list(several.map(lambda number: made.get("door"), range(8)))
    assert written == [1] and len({id(still) for still in found}) == 1
    assert made.get("door", 640) is made.get("door", 640) and written == [2], "each width by itself"


def test_a_newer_picture_is_written_a_second_later(
    camera: tuple[Run, Stills, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, made, written = camera
    now = [100.0]
    monkeypatch.setattr(stills.time, "monotonic", lambda: now[0])
    seen = []
    for second in range(4):
        run.show(second)
        still = made.get("door")
        assert still is not None
        seen.append((still.at - BEGIN).seconds)
        now[0] += 0.4
    assert seen == [0, 0, 0, 3] and written == [2]

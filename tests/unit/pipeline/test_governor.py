"""What the governor tells the state machine that decides."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.logic.load_shedding import LoadShedding
from streamproc.pipeline import governor as governing
from streamproc.pipeline.governor import Governor


class Meter:
    def __init__(self, share: float) -> None:
        self.share = share

    def read(self) -> float:
        return self.share


@pytest.mark.parametrize(
    ("own", "machine", "busy"),
    [(0.3, 0.6, 0.6), (1.0, 0.1, 1.0)],
    ids=["others work beside it", "a container's quota is used up on a machine with room"],
)
def test_how_busy_the_cores_are_goes_with_the_drops(
    own: float, machine: float, busy: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(governing, "CpuMeter", lambda: Meter(own))
    monkeypatch.setattr(governing, "MachineMeter", lambda: Meter(machine))
    monkeypatch.setattr(LoadShedding, "observe", lambda self, now, cpu, dropped, steps, busy: told.append(busy))
    Governor(80).tick([])
    assert told == [busy]

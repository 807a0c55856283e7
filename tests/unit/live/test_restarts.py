"""When what failed is started again: soon and less and less often; refusals slowly; what an output denies, never unasked."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamproc import metrics
from streamproc.live import restarts
from streamproc.live.processor import Processor
from streamproc.live.restarts import REFUSED, UNEXPECTED, Restarts
from streamproc.logic.backoff import BackoffRule
from tests.builders.nodes import Node, config


def failed(kind: str, name: str = "door", since: float | None = None) -> Processor:
    return cast(Processor, SimpleNamespace(name=name, failed_as=kind, running_since=since))


def waits(policy: Restarts, kind: str, number: int, now: float = 1000.0) -> list[float]:
    return [policy.retry_at(failed(kind), now) - now for _ in range(number)]


def test_unexpected_failures_wait_longer_each_time_up_to_the_cap() -> None:
    found = waits(Restarts(), "unexpected", 12)
    assert 0.5 <= found[0] <= UNEXPECTED.first_s and all(wait <= UNEXPECTED.cap_s for wait in found)
    assert found[-1] >= UNEXPECTED.cap_s / 2


def test_a_refusal_is_tried_again_after_minutes() -> None:
    found = waits(Restarts(), "refused", 12)
    assert found[0] >= 30 and REFUSED.cap_s / 2 <= found[-1] <= REFUSED.cap_s


def test_what_an_output_denies_is_not_started_again() -> None:
    assert waits(Restarts(), "denied", 1) == [math.inf]


def test_a_long_run_makes_the_next_failure_a_first_one() -> None:
    policy = Restarts()
    waits(policy, "unexpected", 8)
    again = policy.retry_at(failed("unexpected", since=1000.0), 1000.0 + UNEXPECTED.healthy_s)
    assert again - (1000.0 + UNEXPECTED.healthy_s) <= UNEXPECTED.first_s


@pytest.mark.logs_errors("failed")
async def test_a_refused_one_is_counted_when_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "REFUSED", BackoffRule(first_s=0.05, cap_s=0.05))
    counted = metrics.RESTARTS.labels("door")
    before = counted._value.get()
    node = await Node(tmp_path, retry_at=Restarts().retry_at).open()
    unbound: dict[str, Any] = {"type": "unbound", "reason": "no such stream"}
    await node.desired.declare("door", config(source=unbound))
    async with asyncio.timeout(20):
        while node.states.count(("door", "failed")) < 3:
            await asyncio.sleep(0.01)
    assert node.supervisor.processor("door").failed_as == "refused"
    assert counted._value.get() - before >= 2
    await node.close()

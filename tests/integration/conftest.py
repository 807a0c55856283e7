"""What tests of several outputs stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streamproc.outbox import output as output_module
from tests.builders.brokers import Home
from tests.builders.outboxes import Box
from tests.console import DOOR
from tests.daemon import Daemon
from tests.servers.mosquitto import Mosquitto


@pytest.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    """An outbox that tries again soon."""
    monkeypatch.setattr(output_module, "RETRY", replace(output_module.RETRY, first_s=0.05, cap_s=0.5))
    made = Box(tmp_path)
    await made.outbox.start()
    yield made
    await made.outbox.aclose()
    made.journal.database.close()


@pytest.fixture
async def home(mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> AsyncIterator[Home]:
    """A broker of its own, and outputs that lead to it."""
    broker = mosquitto()
    made = Home(broker.port, tmp_path)
    made.broker = broker  # type: ignore[attr-defined]
    yield made
    for sink in made.sinks:
        await sink.aclose()


@pytest.fixture
def door(daemon: Daemon, scene: Path) -> Daemon:
    """A camera that announces something every few seconds."""
    daemon.put("front-door", DOOR.format(clip=scene))
    daemon.start()
    return daemon

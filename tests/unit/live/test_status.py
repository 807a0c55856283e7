"""Outputs that show how processors stand."""

from pathlib import Path
from typing import Any

import pytest

from tests.builders.nodes import Node, config


class _Broken:
    """An output whose code has a fault; a stand-in, since none of ours is meant to."""

    def status(self, status: Any) -> None:
        raise RuntimeError("a fault")


class _Fine:
    def __init__(self) -> None:
        self.states: list[str] = []

    def status(self, status: Any) -> None:
        self.states.append(status.state)


@pytest.mark.logs_errors("status_not_told")
async def test_an_output_that_breaks_keeps_no_processor_from_starting_and_no_other_output_from_hearing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, fine = Node(tmp_path), _Fine()
    monkeypatch.setattr(node.supervisor.outputs, "status_sinks", lambda name: {"broken": _Broken(), "fine": fine})
    monkeypatch.setattr(node.supervisor._board, "_sinks", node.supervisor.outputs.status_sinks)
    await node.open()
    try:
        await node.supervisor.create("door", config())
        await node.supervisor.start("door")
        await node.until("door", "running")
        assert fine.states[-1] == "running"
    finally:
        await node.close()

"""A folder of fragments that hangs, as on a network share that nobody answers for: simulated, since a share that hangs needs FUSE in each test."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.kinesis.stores import Bench, fragment

NOW = 1_700_000_000_000


async def test_a_folder_that_hangs_holds_up_no_other_call_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, answers = Bench(tmp_path, None), threading.Event()
    await bench.open()
    monkeypatch.setattr(type(bench.store), "_write", lambda *_: answers.wait(60))
    try:
        stuck = [asyncio.create_task(bench.store.append(f"cam{each}", fragment(NOW))) for each in range(40)]
        await asyncio.sleep(0.2)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "answered"), 10) == "answered"
        assert not any(task.done() for task in stuck)
    finally:
        answers.set()
        await asyncio.gather(*stuck, return_exceptions=True)
        await bench.close()

"""Free memory goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes
from pathlib import Path

import pytest

from streamproc.server import memory
from streamproc.server.memory import give_back_for_ever, trimmer

BLOCKS, SIZE = 20_000, 4_000


def anonymous_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


async def test_what_is_free_between_what_is_used_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    if trimmer() is None or not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the C library or the system is another one")
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(SIZE) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, SIZE)
    for block in blocks[:-1]:  # the last one keeps the heap from shrinking by itself
        libc.free(block)
    before = anonymous_mb()
    trim, loop, done = trimmer(), asyncio.get_running_loop(), asyncio.Event()

    def traced(pad: int) -> None:
        assert trim is not None
        trim(pad)
        loop.call_soon_threadsafe(done.set)

    monkeypatch.setattr(memory, "EVERY_S", 0.0)
    monkeypatch.setattr(memory, "trimmer", lambda: traced)
    task = asyncio.create_task(give_back_for_ever())
    await asyncio.wait_for(done.wait(), 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert before - anonymous_mb() > BLOCKS * SIZE / 2**20 / 2
    libc.free(blocks[-1])

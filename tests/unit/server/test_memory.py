"""Free memory goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import subprocess
import sys
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


CHILD = """
import ctypes, os, threading, sys
sys.path.insert(0, sys.argv[1])
from streamproc.server.memory import PAGES_OF_ITS_OWN, bound

did = bound()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(2):  # freeing the first raises a threshold that is not set
    large = libc.malloc(4 * PAGES_OF_ITS_OWN)
    libc.free(large)
together = threading.Barrier(64)
def hold():
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(64)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
libc.malloc(2 * PAGES_OF_ITS_OWN)
libc.fdopen.restype, libc.fdopen.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_char_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fflush.argtypes = [ctypes.c_void_p]
out = libc.fdopen(1, b"w")
print(did, flush=True)
libc.malloc_info(0, out), libc.fflush(out)
"""


def arenas_of(**environ: str) -> tuple[bool, int, int]:
    """Whether it was bound, how many arenas 64 threads have, and how many blocks have pages of their own."""
    words = [sys.executable, "-c", CHILD, str(Path(memory.__file__).parents[2])]
    done = subprocess.run(words, env={**os.environ, **environ}, capture_output=True, text=True, check=True, timeout=60)
    mapped = re.findall(r'type="mmap" count="(\d+)"', done.stdout)
    return done.stdout.startswith("True"), done.stdout.count("<heap nr="), int(mapped[-1])


def test_threads_share_arenas_and_what_is_large_has_pages_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    if trimmer() is None:
        pytest.skip("the C library is another one")
    for word in ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"):
        monkeypatch.delenv(word, raising=False)
    done, arenas, mapped = arenas_of()
    assert done and arenas <= max(2, os.cpu_count() or 1) and mapped >= 1
    assert not arenas_of(MALLOC_ARENA_MAX="3")[0], "who sets it otherwise knows better"

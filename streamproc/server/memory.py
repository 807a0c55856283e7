"""Memory that is free goes back to the system.

glibc gives every thread an arena, up to eight a core, and keeps what was freed there (mallinfo(3) counts it): decoded pictures and tensors of many
sizes leave holes, a few more every minute, while what is in use stays the same. So there are as many arenas as cores, what is as large as a
picture has pages of its own, and what is free in the arenas is given back every minute. ``benchmarks.soak`` prints the daemon's anonymous memory.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable, Mapping

from streamproc.threads import CONTROL

EVERY_S = 60.0
PAGES_OF_ITS_OWN = 1 << 20
"""Bytes. glibc raises its own threshold up to 32 MB by what is freed (mallopt(3)); one that is set stays."""
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
"""Parameters of mallopt(3), by the numbers of malloc.h."""
_OWN_WORDS = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Environment variables of who knows better."""


def bound(environ: Mapping[str, str] = os.environ) -> bool:
    """Few arenas, and pages of their own for what is large: before there are many threads. Whether it was done."""
    if any(word in environ for word in _OWN_WORDS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    arenas = max(2, os.cpu_count() or 1)
    return bool(mallopt(_ARENA_MAX, arenas)) and bool(mallopt(_MMAP_THRESHOLD, PAGES_OF_ITS_OWN))


def trimmer() -> Callable[[int], object] | None:
    """glibc's ``malloc_trim`` (malloc_trim(3)); None where the C library has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None


async def give_back_for_ever() -> None:
    """Every minute; returns at once where the C library cannot."""
    trim = trimmer()
    while trim is not None:
        await asyncio.sleep(EVERY_S)
        await CONTROL.run(trim, 0)

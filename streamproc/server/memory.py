"""Memory that is free goes back to the system.

glibc gives every thread an arena and keeps what was freed there (mallinfo(3) counts it): decoded pictures and tensors of many sizes leave holes, a
few more every minute, while what is in use stays the same. ``benchmarks.soak`` prints the daemon's anonymous memory.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from streamproc.threads import CONTROL

EVERY_S = 60.0


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

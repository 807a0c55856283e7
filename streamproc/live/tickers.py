"""What the control plane does every so often: letting time pass for the lanes, and governing the load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from streamproc.live.processor import Processor
from streamproc.pipeline.governor import EVERY_S, Governor

log = structlog.get_logger(__name__)
TICK_S = 0.5

Processors = Callable[[], Iterable[Processor]]
"""Those that exist at the moment."""


async def let_time_pass(processors: Processors) -> None:
    """For ever: feeds that give nothing are noticed."""
    while True:
        for processor in list(processors()):
            processor.check()
        await asyncio.sleep(TICK_S)


async def govern(governor: Governor, processors: Processors) -> None:
    """For ever: ``governor`` sees the lanes of everything that runs."""
    while True:
        await asyncio.sleep(EVERY_S)
        lanes = [processor.run.lane for processor in processors() if processor.run is not None]
        try:
            await asyncio.to_thread(governor.tick, lanes)
        except Exception:  # the boundary of the governor: the lanes go on as they are
            log.exception("governor_failed")

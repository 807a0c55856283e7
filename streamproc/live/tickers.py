"""What the control plane does every so often: letting time pass for the lanes, and governing the load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from streamproc.live.processor import Processor
from streamproc.live.status import StatusBoard
from streamproc.pipeline.governor import EVERY_S, Governor
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)
TICK_S = 0.5
SHOW_S = 1.0

Processors = Callable[[], Iterable[Processor]]
"""Those that exist at the moment."""


async def let_time_pass(processors: Processors) -> None:
    """For ever: feeds that give nothing are noticed."""
    while True:
        for processor in list(processors()):
            try:
                processor.check()
            except Exception:  # the boundary of time: it passes for the others too
                log.exception("check_failed", processor=processor.name)
        await asyncio.sleep(TICK_S)


async def show_states(board: StatusBoard) -> None:
    """For ever: outputs that show states hear of what changes without an event: who is in view, the source, figures."""
    while True:
        await asyncio.sleep(SHOW_S)
        try:
            board.show_all()
        except Exception:  # the boundary of the board: it tries again
            log.exception("states_not_shown")


async def govern(governor: Governor, processors: Processors) -> None:
    """For ever: ``governor`` sees the lanes of everything that runs."""
    while True:
        await asyncio.sleep(EVERY_S)
        lanes = [processor.run.lane for processor in processors() if processor.run is not None]
        try:
            await CONTROL.run(governor.tick, lanes)
        except Exception:  # the boundary of the governor: the lanes go on as they are
            log.exception("governor_failed")

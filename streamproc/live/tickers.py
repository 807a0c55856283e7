"""What the control plane does every so often: letting time pass for the lanes, and governing the load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from streamproc.live.processor import Processor
from streamproc.live.status import StatusBoard
from streamproc.pipeline.governor import EVERY_S, Governor
from streamproc.threads import CONTROL
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
TICK_S = 0.5
SHOW_S = 1.0

Processors = Callable[[], Iterable[Processor]]
"""Those that exist at the moment."""


async def let_time_pass(processors: Processors) -> None:
    """For ever: feeds that give nothing are noticed."""
    trouble = Trouble("check_failed", "checks_go_on")
    while True:
        broken = False
        for processor in list(processors()):
            try:
                processor.check()
            except Exception as error:  # noqa: BLE001 - the boundary of time: it passes for the others too
                broken = True
                trouble.met(repr(error), bug=error, processor=processor.name)
        if not broken:
            trouble.over()
        await asyncio.sleep(TICK_S)


async def show_states(board: StatusBoard) -> None:
    """For ever: outputs that show states hear of what changes without an event: who is in view, the source, figures."""
    trouble = Trouble("states_not_shown", "states_are_shown")
    while True:
        await asyncio.sleep(SHOW_S)
        try:
            board.show_all()
            trouble.over()
        except Exception as error:  # noqa: BLE001 - the boundary of the board: it tries again
            trouble.met(repr(error), bug=error)


async def govern(governor: Governor, processors: Processors) -> None:
    """For ever: ``governor`` sees the lanes of everything that runs."""
    trouble = Trouble("governor_failed", "governor_goes_on")
    while True:
        await asyncio.sleep(EVERY_S)
        lanes = [processor.run.lane for processor in processors() if processor.run is not None]
        try:
            await CONTROL.run(governor.tick, lanes)
            trouble.over()
        except Exception as error:  # noqa: BLE001 - the boundary of the governor: the lanes go on as they are
            trouble.met(repr(error), bug=error)

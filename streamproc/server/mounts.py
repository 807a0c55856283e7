"""The rooms that share the daemon's port, each put in place by one function."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from streamproc.server.daemon import House

log = structlog.get_logger(__name__)


async def aws(house: House) -> None:
    """``POST /``: the AWS endpoint."""
    from streamproc.aws.setup import Box, setup

    faces = await asyncio.to_thread(lambda: house.supervisor.seers.faces)
    await setup(house.app, Box(house.box, house.folder, house.database, house.supervisor, faces))


async def webrtc(house: House) -> None:
    """WHIP, WHEP and the watch page."""


async def jobs(house: House) -> None:
    """Stored-video jobs that go on where the last process left them."""

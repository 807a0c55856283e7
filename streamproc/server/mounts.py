"""The rooms that share the daemon's port, each put in place by one function."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from connectors.context import ConnectorContext
    from streamproc.jobs.service import JobService
    from streamproc.server.daemon import House

log = structlog.get_logger(__name__)


async def aws(house: House) -> None:
    """``POST /``: the AWS endpoint, and the stored-video jobs that it starts; those of the last process go on."""
    from streamproc.aws.refusals import words_for
    from streamproc.aws.setup import Box, setup
    from streamproc.jobs.stills import Stills

    supervisor = house.supervisor
    faces = await asyncio.to_thread(lambda: supervisor.seers.faces)
    jobs = await _open_jobs(house)
    supervisor.fails_on = words_for
    stills = Stills(lambda: supervisor.seers.zoo)
    await setup(house.app, Box(house.box, house.folder, house.database, supervisor, faces, jobs, stills))


async def _open_jobs(house: House) -> JobService:
    from streamproc.aws.completions import Completions, Mailroom
    from streamproc.aws.setup import make_resolver
    from streamproc.jobs.build import open_jobs
    from streamproc.live.assembly import connector_context

    supervisor, database = house.supervisor, house.database

    def context(owner: str) -> ConnectorContext:
        return connector_context(house.box, owner, house.folder, database.data_dir, database.box_id)

    completions = Completions(
        Mailroom(supervisor.journal, supervisor.outbox, make_resolver(house.box, house.folder), context)
    )
    await completions.open()
    zoo, faces = supervisor.seers.zoo, supervisor.seers.faces
    jobs = await asyncio.to_thread(
        lambda: open_jobs(database, house.box, database.data_dir, told=completions.tell, zoo=zoo, faces=faces)
    )
    jobs.open_workers()
    supervisor.governor.greedy.append(lambda: jobs.busy)

    async def close() -> None:
        await asyncio.to_thread(jobs.close)

    house.on_close.append(close)
    return jobs


async def webrtc(house: House) -> None:
    """WHIP, WHEP and the watch page."""
    from streamproc.config.webrtc import check_secrets
    from streamproc.webrtc.access import Access
    from streamproc.webrtc.http import Pages
    from streamproc.webrtc.room import Room

    check_secrets(house.box.webrtc)
    room = Room(house.supervisor, house.box.webrtc)
    Pages(room, Access(house.tokens)).mount(house.app)
    room.open()
    house.on_close.append(room.close)

"""The rooms that share the daemon's port, each put in place by one function."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from streamproc.server.context import DaemonContext
from streamproc.threads import CONTROL, ENDING

if TYPE_CHECKING:
    from connectors.context import ConnectorContext
    from streamproc.faces.service import FaceService
    from streamproc.jobs.service import JobService

log = structlog.get_logger(__name__)


async def mount_kinesis_video(context: DaemonContext) -> None:
    """The node's video streams and recordings; Kinesis Video over them where the node's document asks for it."""
    from streamproc.kinesis.local import LocalReader, LocalVideo, LocalWriter
    from streamproc.kinesis.setup import open_streams, serve
    from streamproc.live.recordings import Recordings
    from streamproc.server.streams import Streams

    room = await open_streams(context.node, context.folder, context.database.data_dir)
    context.on_close.append(room.close)
    if room.shared is not None:
        context.before_joining.append(room.shared.caught_up)
    if context.node.kinesis_video is not None:
        endpoint = await serve(context.app, room.video, context.node, context.folder)
        context.on_close.append(endpoint.close)
    loop = asyncio.get_running_loop()
    context.supervisor.fragments = LocalReader(room.video, loop)
    context.recorded.append(LocalVideo(room.video))
    Streams(room.video).mount(context.app, context.guard)
    recordings = Recordings(context.supervisor, LocalWriter(room.video, loop))
    recordings.open()
    context.on_close.append(recordings.close)


async def mount_aws(context: DaemonContext) -> None:
    """``POST /``: the AWS endpoint, and the stored-video jobs that it starts; those of the last process go on."""
    from streamproc.aws.refusals import words_for
    from streamproc.aws.setup import EndpointServices, setup
    from streamproc.perception.stills import Stills

    supervisor = context.supervisor
    faces = await CONTROL.run(lambda: supervisor.provider.faces)
    jobs = await _open_jobs(context)
    await _mount_jobs_and_faces(context, jobs, faces)
    supervisor.fails_on = words_for
    stills = Stills(supervisor.provider.objects, lambda: supervisor.provider.words)
    services = EndpointServices(context.node, context.folder, context.database, supervisor, faces, jobs, stills)
    fragments = supervisor.fragments
    endpoint = await setup(context.app, services if fragments is None else replace(services, own_stream=fragments.has))
    endpoint.passed_on = context.passed_on[0] if context.passed_on else None


async def _mount_jobs_and_faces(context: DaemonContext, jobs: JobService, faces: FaceService) -> None:
    from streamproc.server.faces import FaceRoutes
    from streamproc.server.jobs import JobRoutes
    from streamproc.server.strangers import StrangerRoutes

    routes = JobRoutes(jobs, context.database, context.node.limits, faces.describe_collection)
    await routes.tidy()
    routes.mount(context.app, context.guard)
    context.snapshots.append(routes.snapshot)
    FaceRoutes(faces, context.supervisor).mount(context.app, context.guard)
    StrangerRoutes(faces, context.supervisor).mount(context.app, context.guard)


async def _open_jobs(context: DaemonContext) -> JobService:
    from streamproc.aws.completions import Completions, Mailroom
    from streamproc.aws.setup import make_resolver
    from streamproc.jobs.build import open_jobs
    from streamproc.live.assembly import connector_context

    supervisor, database = context.supervisor, context.database

    def context_of(owner: str) -> ConnectorContext:
        return connector_context(context.node, owner, context.folder, database.data_dir, database.node_id)

    completions = Completions(
        Mailroom(supervisor.journal, supervisor.outputs.outbox, make_resolver(context.node, context.folder), context_of)
    )
    await completions.open()
    provider = supervisor.provider
    shared = context.shared_jobs[0] if context.shared_jobs else None
    store = shared.store if shared is not None else None
    jobs = await CONTROL.run(lambda: open_jobs(database, provider, on_completed=completions.tell, store=store))
    if shared is not None:
        shared.news, shared.end_workers = jobs.wake, jobs.close
    jobs.open_workers()
    supervisor.runtime.governor.greedy.append(lambda: jobs.busy)

    async def close() -> None:
        await ENDING.run(jobs.close)
        await ENDING.run(provider.close)

    context.on_close.append(close)
    return jobs


async def mount_webrtc(context: DaemonContext) -> None:
    """WHIP, WHEP and the watch page."""
    from streamproc.config.webrtc import check_secrets
    from streamproc.webrtc.access import Access
    from streamproc.webrtc.http import Pages
    from streamproc.webrtc.hub import WebRtcHub

    check_secrets(context.node.webrtc)
    hub = WebRtcHub(context.supervisor, context.node.webrtc)
    Pages(hub, Access(context.tokens, context.guard)).mount(context.app)
    hub.open()
    context.on_close.append(hub.close)


async def mount_history(context: DaemonContext) -> None:
    """What was told and how everything stands: pages of events, their pictures, stills and the stream."""
    from streamproc.live.stills import Stills
    from streamproc.server.events import Events
    from streamproc.server.feed import Feed
    from streamproc.server.node import NodeRoutes
    from streamproc.server.outputs import OutputRoutes
    from streamproc.server.standing import States
    from streamproc.server.stream import Stream

    supervisor = context.supervisor
    stills = Stills(supervisor)
    stills.open()
    Events(supervisor, stills).mount(context.app, context.guard)
    OutputRoutes(supervisor).mount(context.app, context.guard)
    NodeRoutes(supervisor).mount(context.app, context.guard)
    feed = Feed(supervisor.journal, [States(supervisor).snapshot, *context.snapshots])
    supervisor.notices.states.append(lambda name: feed.look())
    Stream(feed).mount(context.app, context.guard)
    feed.open()
    context.on_close.append(feed.close)


async def mount_console(context: DaemonContext) -> None:
    """The console's pages, signing in, and what only the console asks for."""
    from streamproc.console.setup import Console, setup
    from streamproc.live.recording_replay import RecordingReplays
    from streamproc.store.users import StoredUser, UserStore

    users = UserStore(context.database)
    secret = None if context.sign_in.required or context.tokens else secrets.token_urlsafe(24)
    if secret is not None:
        scheme = "https" if context.node.server.tls_cert is not None else "http"
        log.info("set_up", link=f"{scheme}://{context.listen}/console/setup#{secret}", good_for="the first user")
    replays = None
    if context.recorded:
        replays = RecordingReplays(context.recorded[0], context.node, context.supervisor.provider.data_dir)
        context.on_close.append(replays.close)
    setup(
        context.app,
        context.guard,
        Console(
            context.supervisor,
            context.sign_in,
            context.folder,
            secret,
            lambda name, hashed, role: users.add_first(StoredUser(name, hashed, role)),
            context.tracing[0].records if context.tracing else None,
            context.node.cluster is not None,
            replays,
        ),
    )

"""``serve``: everything of one node, from the lock on its data directory to the last delivered event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from streamproc.aws_protocol.keys import load_keys
from streamproc.config.cluster import NodePlace
from streamproc.config.node import NodeConfig, ServerSettings
from streamproc.config.webrtc import check_secrets
from streamproc.core.errors import InputError
from streamproc.live.desired import Reconciler
from streamproc.live.restarts import Restarts
from streamproc.live.supervisor import Supervisor
from streamproc.server.app import make_app, make_waiting_app, mount_alone
from streamproc.server.configdir import ConfigDir
from streamproc.server.context import DaemonContext
from streamproc.server.explain import mount_explain
from streamproc.server.listener import listen_with, tls_of
from streamproc.server.lock import DirectoryLock
from streamproc.server.memory import give_back_for_ever
from streamproc.server.mounts import mount_aws, mount_console, mount_history, mount_kinesis_video, mount_webrtc
from streamproc.server.nodefile import NodeFile
from streamproc.server.renderers import RENDERERS
from streamproc.server.storage import open_database, when_storage_answers
from streamproc.server.systemd import keep_watchdog, notify, reloading
from streamproc.store.database import Database
from streamproc.store.faults import passing_fault
from streamproc.store.signins import SigninStore
from streamproc.store.users import UserStore
from streamproc.threads import CONTROL
from streamproc.web.guard import Guard, KnownToken, load_tokens, safe_listen, token_of_peers
from streamproc.web.signin import KnownUser, SignIn, load_users

if TYPE_CHECKING:
    from streamproc.cluster.node import ClusterNode

log = structlog.get_logger(__name__)

MOUNTS: tuple[Callable[[DaemonContext], Awaitable[None]], ...] = (
    mount_explain,
    mount_kinesis_video,
    mount_aws,
    mount_webrtc,
    mount_history,
    mount_console,
)
"""Rooms that add routes to the same port, in this order."""
DRAIN_S = 10.0
HAND_OVER_DRAIN_S = 2.0
"""What is not delivered by then the next process delivers; meanwhile nobody reads the sources."""
BEGIN_ANEW_S = 3.0
"""After a start that the storage broke off."""


@dataclass
class Daemon:
    """Call ``serve`` once."""

    folder: Path
    node: NodeConfig
    data_dir: Path
    read_node: Callable[[], NodeConfig]
    """The node's document as the next process would read it. Raises InputError where that process would refuse it."""
    stop: asyncio.Event
    reload: asyncio.Event
    """Set to hand everything over to another process, if its config is good."""
    ready: bool = False
    place: NodePlace = field(default_factory=NodePlace)
    """Where this node stands in its cluster, if it is in one."""
    came_up: bool = field(default=False, init=False)

    async def serve(self) -> bool:
        """Until ``stop`` is set, or ``reload`` with a good config. Returns when everything is closed.

        False: sessions have ended with their summaries and the outbox is drained. True: sessions are open, and a new process on the
        same data directory goes on with them.
        """
        watchdog = asyncio.create_task(keep_watchdog(), name="watchdog")
        lock = DirectoryLock(self.data_dir)

        def opened() -> Database:
            lock.hold()
            return open_database(self.data_dir)

        try:
            database = await when_storage_answers(opened, self.stop, self._health_pages)
            if database is None:
                log.info("stopped")
                return False
            return await self._serve_or_begin_anew(database)
        finally:
            lock.release()
            watchdog.cancel()

    async def _serve_or_begin_anew(self, database: Database) -> bool:
        """A disk that fills up in the middle of a start leaves half a node: a new process waits for it then."""
        try:
            return await self._serve(database)
        except Exception as error:
            reason = passing_fault(error)
            if reason is None or self.came_up:
                raise
            log.error("start_broken_off", reason=reason, doing="the node begins anew")
            with suppress(TimeoutError):
                async with asyncio.timeout(BEGIN_ANEW_S):
                    await self.stop.wait()
            return not self.stop.is_set()

    @asynccontextmanager
    async def _health_pages(self) -> AsyncIterator[None]:
        """All that the port serves before there is a database."""
        server, tokens = self.node.server, _tokens(self.node)
        guarded = bool(server.credentials or server.credentials_file or tokens or server.users)
        app = make_waiting_app(Guard(tokens), trust_local=server.local == "open")
        runner = await listen_with(app, safe_listen(server.listen, guarded), server, self.folder)
        try:
            yield
        finally:
            await runner.cleanup()

    async def _serve(self, database: Database) -> bool:
        tokens = _tokens(self.node)
        cluster = self._cluster(database)
        supervisor = Supervisor(
            self.node, self.folder, database, renderers=RENDERERS, ownership=cluster.division if cluster else None
        )
        sign_in = await CONTROL.run(open_sign_in, self.node.server, database)
        guard = Guard(tokens, sign_in)
        app = make_app(supervisor, guard, lambda: self.ready, trust_local=self.node.server.local == "open")
        context = DaemonContext(
            app, self.node, self.folder, database, supervisor, tokens, guard, sign_in, self._listen_address(sign_in)
        )
        if cluster is not None:
            join(cluster, context)
        else:
            mount_alone(app, guard)
        runner = await self._listen(context)
        again = False
        try:
            again = await self._work(context, cluster)
        finally:
            self.ready = False
            if not again:
                notify("STOPPING=1")
            log.info("handing_over" if again else "stopping")
            for close in reversed(context.on_close):
                await close()
            hand_over = again or cluster is not None
            await supervisor.close(HAND_OVER_DRAIN_S if hand_over else DRAIN_S, hand_over=hand_over)
            for close in reversed(context.on_closed):
                await close()
            await runner.cleanup()
            log.info("handed_over" if again else "stopped")
        return again

    async def _work(self, context: DaemonContext, cluster: ClusterNode | None) -> bool:
        """Until told to end. True: hand over."""
        reconciler = Reconciler(context.supervisor, Restarts().retry_at)
        context.on_close.append(reconciler.close)
        await context.supervisor.open()
        await reconciler.open()
        config_dir = ConfigDir(self.folder, reconciler, NodeFile(self.folder, context.supervisor))
        await config_dir.scan()
        await reconciler.withdraw_forgotten()
        await reconciler.settled()
        if cluster is not None:
            await cluster.open(context.before_joining)
            context.on_close.append(cluster.close)
        self.ready = self.came_up = True
        notify("READY=1")
        log.info("ready", listen=context.listen, processors=len(context.supervisor.names()))
        beside = [
            asyncio.create_task(config_dir.watch(self.stop), name="config folder"),
            asyncio.create_task(give_back_for_ever(), name="memory"),
        ]
        try:
            return await self._until_told(config_dir)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _until_told(self, config_dir: ConfigDir) -> bool:
        while True:
            waits = [asyncio.create_task(event.wait()) for event in (self.stop, self.reload)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if self.stop.is_set():
                return False
            self.reload.clear()
            notify(reloading())
            if await self._next_would_serve():
                return True
            await config_dir.scan()
            notify("READY=1")

    async def _next_would_serve(self) -> bool:
        """A new process must not end at once over its config: this one goes on then."""
        try:
            node = await CONTROL.run(self.read_node)
            await CONTROL.run(check_node, node, self.folder)
        except InputError as error:
            log.error("reload_refused", reason=str(error), kept="what was read before stays in force")
            return False
        return True

    def _cluster(self, database: Database) -> ClusterNode | None:
        if self.node.cluster is None:
            return None
        from streamproc.cluster.node import ClusterNode
        from streamproc.live.assembly import connector_context

        context = connector_context(self.node, "cluster", self.folder, self.data_dir, database.node_id)
        return ClusterNode(self.node.cluster, self.place, context, self.node.faces.key_file)

    def _listen_address(self, sign_in: SignIn) -> str:
        server = self.node.server
        has_tokens = server.tokens or (self.node.cluster and self.node.cluster.token_env)
        guarded = bool(server.credentials or server.credentials_file or has_tokens or sign_in.has_users)
        listen = safe_listen(server.listen, guarded)
        if listen != server.listen:
            log.warning(
                "listens_on_this_host_only",
                reason="no access keys, no tokens and no users are set",
                asked=server.listen,
                listen=listen,
            )
        return listen

    async def _listen(self, context: DaemonContext) -> web.AppRunner:
        for mount in MOUNTS:
            await mount(context)
        return await listen_with(context.app, context.listen, self.node.server, self.folder)


def join(cluster: ClusterNode, context: DaemonContext) -> None:
    """What is decided here counts for the cluster from now on; its routes."""
    from streamproc.server.cluster import ClusterRoutes

    cluster.bind(context.supervisor, asyncio.get_running_loop())
    routes = ClusterRoutes(cluster, context.guard)
    routes.mount(context.app)
    context.passed_on.append(routes.aws)
    context.shared_jobs.append(cluster.jobs)


def _tokens(node: NodeConfig) -> tuple[KnownToken, ...]:
    """Tokens of people and scripts, and of the nodes beside this one. Raises ConfigError where an environment variable is not set."""
    return (*load_tokens(node.server), *token_of_peers(node.cluster.token_env if node.cluster else None))


def check_node(node: NodeConfig, folder: Path) -> None:
    """Raises InputError for what a document's keys name and this process lacks: secrets in the environment, certificates."""
    _tokens(node)
    load_users(node.server)
    load_keys(node.server, folder)
    check_secrets(node.webrtc)
    tls_of(node.server, folder)


def open_sign_in(server: ServerSettings, database: Database) -> SignIn:
    """A user of the document takes the place of one of the same name whom the set-up link made. Raises ConfigError for a user without a hash."""
    made = [KnownUser(user.name, user.role, user.password_hash) for user in UserStore(database).all()]
    return SignIn((*made, *load_users(server)), SigninStore(database), server.proxy)

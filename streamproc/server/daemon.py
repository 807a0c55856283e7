"""``serve``: everything of one node, from the lock on its data directory to the last delivered event."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
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
from streamproc.server.app import make_app
from streamproc.server.configdir import ConfigDir
from streamproc.server.connections import ConnectionLimits, GatedRunner
from streamproc.server.context import DaemonContext
from streamproc.server.descriptors import raise_limit
from streamproc.server.explain import mount_explain
from streamproc.server.lock import DirectoryLock
from streamproc.server.mounts import mount_aws, mount_console, mount_history, mount_kinesis_video, mount_webrtc
from streamproc.server.nodefile import NodeFile
from streamproc.server.renderers import RENDERERS
from streamproc.server.systemd import keep_watchdog, notify, reloading
from streamproc.store.database import Database
from streamproc.store.signins import SigninStore
from streamproc.store.users import UserStore
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

    async def serve(self) -> bool:
        """Until ``stop`` is set, or ``reload`` with a good config. Returns when everything is closed.

        False: sessions have ended with their summaries and the outbox is drained. True: sessions are open, and a new process on the
        same data directory goes on with them.
        """
        watchdog = asyncio.create_task(keep_watchdog(), name="watchdog")
        try:
            with ExitStack() as stack:
                stack.enter_context(DirectoryLock(self.data_dir))
                return await self._serve()
        finally:
            watchdog.cancel()

    async def _serve(self) -> bool:
        tokens = _tokens(self.node)
        database = await asyncio.to_thread(Database, self.data_dir)
        cluster = self._cluster(database)
        supervisor = Supervisor(
            self.node, self.folder, database, renderers=RENDERERS, ownership=cluster.division if cluster else None
        )
        sign_in = await asyncio.to_thread(open_sign_in, self.node.server, database)
        guard = Guard(tokens, sign_in)
        app = make_app(supervisor, guard, lambda: self.ready, trust_local=self.node.server.local == "open")
        context = DaemonContext(
            app, self.node, self.folder, database, supervisor, tokens, guard, sign_in, self._listen_address(sign_in)
        )
        if cluster is not None:
            join(cluster, context)
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
            cluster.open()
            context.on_close.append(cluster.close)
        self.ready = True
        notify("READY=1")
        log.info("ready", listen=context.listen, processors=len(context.supervisor.names()))
        watch = asyncio.create_task(config_dir.watch(self.stop), name="config folder")
        try:
            return await self._until_told(config_dir)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

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
            node = await asyncio.to_thread(self.read_node)
            await asyncio.to_thread(check_node, node, self.folder)
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
        return ClusterNode(self.node.cluster, self.place, context)

    def _listen_address(self, sign_in: SignIn) -> str:
        server = self.node.server
        has_tokens = server.tokens or (self.node.cluster and self.node.cluster.token_env)
        guarded = bool(server.credentials or server.credentials_file or has_tokens or sign_in.has_users)
        listen = safe_listen(server.listen, guarded)
        if listen != server.listen:
            log.warning(
                "no access keys, no tokens and no users are set: only this host is served",
                asked=server.listen,
                listen=listen,
            )
        return listen

    async def _listen(self, context: DaemonContext) -> web.AppRunner:
        for mount in MOUNTS:
            await mount(context)
        runner = GatedRunner(context.app, access_log=None, shutdown_timeout=3.0)
        runner.limits = ConnectionLimits.within(raise_limit())
        await runner.setup()
        host, port = split_listen(context.listen)
        site = web.TCPSite(runner, host, port, ssl_context=_tls(self.node.server, self.folder))
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            said = error.strerror or error
            raise InputError(
                f"server.listen: {context.listen} cannot be used: {said}; choose another --listen"
            ) from None
        return runner


def join(cluster: ClusterNode, context: DaemonContext) -> None:
    """What is decided here counts for the cluster from now on; its routes."""
    from streamproc.server.cluster import ClusterRoutes

    cluster.bind(context.supervisor, asyncio.get_running_loop())
    ClusterRoutes(cluster, context.guard).mount(context.app)


def _tokens(node: NodeConfig) -> tuple[KnownToken, ...]:
    """Those of people and scripts, and of the nodes beside this one. Raises ConfigError where an environment variable is not set."""
    return (*load_tokens(node.server), *token_of_peers(node.cluster.token_env if node.cluster else None))


def check_node(node: NodeConfig, folder: Path) -> None:
    """Raises InputError for what a document's keys name and this process lacks: secrets in the environment, certificates."""
    _tokens(node)
    load_users(node.server)
    load_keys(node.server, folder)
    check_secrets(node.webrtc)
    _tls(node.server, folder)


def open_sign_in(server: ServerSettings, database: Database) -> SignIn:
    """A user of the document takes the place of one of the same name whom the set-up link made. Raises ConfigError for a user without a hash."""
    made = [KnownUser(user.name, user.role, user.password_hash) for user in UserStore(database).all()]
    return SignIn((*made, *load_users(server)), SigninStore(database), server.proxy)


def split_listen(listen: str) -> tuple[str, int]:
    """``HOST:PORT``; an IPv6 host in brackets."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _tls(server: ServerSettings, folder: Path) -> ssl.SSLContext | None:
    if server.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    key = folder / server.tls_key if server.tls_key is not None else None
    try:
        context.load_cert_chain(folder / server.tls_cert, key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"server.tls_cert: {error}; give a PEM certificate and its key") from None
    return context

"""``serve``: everything of one node, from the lock on its data directory to the last delivered event."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import ssl
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from streamproc.config.node import NodeConfig, ServerSettings
from streamproc.core.errors import InputError
from streamproc.live.supervisor import Supervisor
from streamproc.server.app import make_app
from streamproc.server.configdir import ConfigDir
from streamproc.server.lock import DirectoryLock
from streamproc.server.renderers import RENDERERS
from streamproc.server.systemd import keep_watchdog, notify
from streamproc.store.database import Database
from streamproc.web.guard import Guard, KnownToken, load_tokens, safe_listen

log = structlog.get_logger(__name__)

MOUNTS = (
    "streamproc.server.mounts:kinesis_video",
    "streamproc.server.mounts:aws",
    "streamproc.server.mounts:webrtc",
)
"""Rooms that add routes to the same port: async functions that take the DaemonContext, in this order."""


@dataclass(frozen=True)
class DaemonContext:
    """What a mounted room stands on."""

    app: web.Application
    node: NodeConfig
    folder: Path
    """The config folder."""
    database: Database
    supervisor: Supervisor
    tokens: tuple[KnownToken, ...]
    listen: str
    on_close: list[Callable[[], Awaitable[None]]]
    """Called when the daemon ends, before the supervisor closes."""


@dataclass
class Daemon:
    """Call ``serve`` once."""

    folder: Path
    node: NodeConfig
    data_dir: Path
    stop: asyncio.Event
    rescan: asyncio.Event
    ready: bool = False

    async def serve(self) -> None:
        """Until ``stop`` is set; returns when sessions have ended with their summaries and the outbox is drained."""
        with ExitStack() as stack:
            stack.enter_context(DirectoryLock(self.data_dir))
            tokens = load_tokens(self.node.server)
            database = await asyncio.to_thread(Database, self.data_dir)
            supervisor = Supervisor(self.node, self.folder, database, renderers=RENDERERS)
            app = make_app(supervisor, Guard(tokens), lambda: self.ready, trust_local=self.node.server.local == "open")
            context = DaemonContext(
                app, self.node, self.folder, database, supervisor, tokens, self._listen_address(), []
            )
            runner = await self._listen(context)
            try:
                await self._work(context)
            finally:
                self.ready = False
                notify("STOPPING=1")
                log.info("stopping")
                for close in reversed(context.on_close):
                    await close()
                await supervisor.close()
                await runner.cleanup()
                log.info("stopped")

    async def _work(self, context: DaemonContext) -> None:
        await context.supervisor.open()
        config_dir = ConfigDir(self.folder, context.supervisor)
        await config_dir.scan()
        await context.supervisor.forget_files()
        self.ready = True
        notify("READY=1")
        log.info("ready", listen=context.listen, processors=len(context.supervisor.names()))
        tasks = [
            asyncio.create_task(config_dir.watch(self.stop), name="config folder"),
            asyncio.create_task(self._rescans(config_dir), name="reload"),
            asyncio.create_task(keep_watchdog(self.stop), name="watchdog"),
        ]
        await self.stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _listen_address(self) -> str:
        server = self.node.server
        guarded = bool(server.credentials or server.credentials_file or server.tokens)
        listen = safe_listen(server.listen, guarded)
        if listen != server.listen:
            log.warning(
                "no access keys and no tokens are set: only this host is served", asked=server.listen, listen=listen
            )
        return listen

    async def _rescans(self, config_dir: ConfigDir) -> None:
        while True:
            await self.rescan.wait()
            self.rescan.clear()
            log.info("reload")
            await config_dir.scan()

    async def _listen(self, context: DaemonContext) -> web.AppRunner:
        for mount in MOUNTS:
            module, _, name = mount.partition(":")
            await getattr(importlib.import_module(module), name)(context)
        runner = web.AppRunner(context.app, access_log=None, shutdown_timeout=3.0)
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

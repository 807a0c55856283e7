"""What the rooms that share the daemon's port are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from streamproc.aws.wire import PassOn
from streamproc.config.node import NodeConfig
from streamproc.core.video_log import RecordedVideo
from streamproc.live.supervisor import Supervisor
from streamproc.live.tracing import Tracing
from streamproc.server.feed import Snapshot
from streamproc.store.database import Database
from streamproc.web.guard import Guard, KnownToken
from streamproc.web.signin import SignIn

if TYPE_CHECKING:
    from streamproc.cluster.jobs import SharedJobs


@dataclass(frozen=True)
class DaemonContext:
    """Services of one daemon, for whoever adds routes to its port."""

    app: web.Application
    node: NodeConfig
    folder: Path
    """The config folder."""
    database: Database
    supervisor: Supervisor
    tokens: tuple[KnownToken, ...]
    guard: Guard
    """Who may use the API; every route under /api asks it."""
    sign_in: SignIn
    listen: str
    """HOST:PORT."""
    snapshots: list[Snapshot] = field(default_factory=list)
    """What the stream tells of beside events."""
    on_close: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Called when the daemon ends, last one first, before the supervisor closes."""
    on_closed: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """The same after it: every session has ended."""
    before_joining: list[Callable[[float], Awaitable[None]]] = field(default_factory=list)
    """Awaited before this node asks its cluster for anything to run, each with the most seconds that it may take."""
    passed_on: list[PassOn] = field(default_factory=list)
    """Where requests of AWS clients about processors of other nodes go: at most one."""
    shared_jobs: list[SharedJobs] = field(default_factory=list)
    """The stored-video jobs of the node's cluster: at most one."""
    tracing: list[Tracing] = field(default_factory=list)
    """What runs decided, where a trace is kept: at most one."""
    recorded: list[RecordedVideo] = field(default_factory=list)
    """What cameras' recordings hold: at most one."""

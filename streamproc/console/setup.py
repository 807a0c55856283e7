"""The console's routes, put in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aiohttp import web

from streamproc.console.assets import Assets
from streamproc.console.cameras import CameraRoutes
from streamproc.console.first_user import FirstUserRoutes
from streamproc.console.recording_replay import RecordingReplayRoutes
from streamproc.console.regions import RegionRoutes
from streamproc.console.session import SessionRoutes
from streamproc.console.settings import SettingsRoutes
from streamproc.core.decisions import Record
from streamproc.live.recording_replay import RecordingReplays
from streamproc.live.supervisor import Supervisor
from streamproc.web.guard import Guard
from streamproc.web.signin import SignIn


@dataclass(frozen=True, slots=True)
class Console:
    """What the console stands on."""

    supervisor: Supervisor
    sign_in: SignIn
    folder: Path
    """The config folder."""
    secret: str | None
    """Of the set-up link; None: none is given out."""
    keep_user: Callable[[str, str, str], bool]
    """Keep the first user (name, hash, role); False where there is one."""
    records: Callable[[str, datetime, datetime], Sequence[Record]] | None = None
    """What a processor decided in a span; None where no trace is kept."""
    nodes: bool = False
    """Whether this node shares processors with others."""
    replays: RecordingReplays | None = None
    """Replays of recordings with other regions; None where nothing is recorded."""


def setup(app: web.Application, guard: Guard, console: Console) -> None:
    SessionRoutes(guard, console.sign_in, console.nodes).mount(app)
    FirstUserRoutes(console.sign_in, console.secret, console.keep_user).mount(app)
    CameraRoutes(console.supervisor, guard, console.folder).mount(app)
    RegionRoutes(console.supervisor, guard, console.folder, console.records).mount(app)
    RecordingReplayRoutes(console.supervisor, guard, console.replays).mount(app)
    SettingsRoutes(guard, console.folder).mount(app)
    Assets().mount(app)

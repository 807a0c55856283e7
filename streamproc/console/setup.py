"""The console's routes, put in place."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from streamproc.console.assets import Assets
from streamproc.console.regions import RegionRoutes
from streamproc.console.session import SessionRoutes
from streamproc.console.settings import SettingsRoutes
from streamproc.live.supervisor import Supervisor
from streamproc.web.guard import Guard
from streamproc.web.signin import SignIn


def setup(app: web.Application, supervisor: Supervisor, guard: Guard, sign_in: SignIn | None, folder: Path) -> None:
    """``folder``: the config folder."""
    SessionRoutes(guard, sign_in).mount(app)
    RegionRoutes(supervisor, guard, folder).mount(app)
    SettingsRoutes(guard, folder).mount(app)
    Assets().mount(app)

"""The HTTP side: health, readiness, metrics and the control API; other rooms mount theirs with ``mount``."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streamproc.live.supervisor import Supervisor
from streamproc.metrics import REGISTRY
from streamproc.server.control import Control
from streamproc.web.guard import TRUST_LOCAL, Guard, Refused

MAX_BODY = 11 * 1024 * 1024
READY, WAITS = "ready", "waits for storage"


def make_app(
    supervisor: Supervisor, guard: Guard, is_ready: Callable[[], bool], *, trust_local: bool = True
) -> web.Application:
    """An app without a listener. ``is_ready``: whether everything that is mounted is served. ``trust_local``: see ``TRUST_LOCAL``."""
    app = web.Application(client_max_size=MAX_BODY)
    app[TRUST_LOCAL] = trust_local

    _mount_health(app, guard, lambda: READY if is_ready() else "starting")
    Control(supervisor, guard).mount(app)
    return app


def make_waiting_app(guard: Guard, *, trust_local: bool = True) -> web.Application:
    """What the port answers while the node waits for its storage: the same health pages, and to everything else that it is not up yet."""
    app = web.Application(client_max_size=MAX_BODY)
    app[TRUST_LOCAL] = trust_local

    async def not_yet(request: web.Request) -> web.Response:
        return web.json_response({"error": WAITS}, status=503, headers={"Retry-After": "5"})

    _mount_health(app, guard, lambda: WAITS)
    app.router.add_route("*", "/{anything:.*}", not_yet)
    return app


def _mount_health(app: web.Application, guard: Guard, standing: Callable[[], str]) -> None:
    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(request: web.Request) -> web.Response:
        said = standing()
        return web.json_response({"status": said}, status=200 if said == READY else 503)

    async def metrics(request: web.Request) -> web.Response:
        try:
            guard.check(request, "metrics")
        except Refused as refused:
            return web.json_response({"error": str(refused)}, status=refused.status)
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)

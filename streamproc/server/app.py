"""The HTTP side: health, readiness, metrics and the control API; other rooms mount theirs with ``mount``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streamproc.core.errors import NotFound
from streamproc.live.supervisor import Supervisor
from streamproc.metrics import REGISTRY
from streamproc.server.control import Control
from streamproc.web.answers import answered, failure
from streamproc.web.guard import TRUST_LOCAL, Guard, Refused

MAX_BODY = 11 * 1024 * 1024
READY, WAITS = "ready", "waits for storage"


def make_app(
    supervisor: Supervisor, guard: Guard, is_ready: Callable[[], bool], *, trust_local: bool = True
) -> web.Application:
    """An app without a listener. ``is_ready``: whether everything that is mounted is served. ``trust_local``: see ``TRUST_LOCAL``."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_said_in_json])
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


def mount_alone(app: web.Application, guard: Guard) -> None:
    """What a cluster's addresses say on a node that is in none."""

    async def alone(request: web.Request) -> NoReturn:
        raise NotFound(
            "this node is in no cluster; with cluster: in streamproc.yaml it shares its processors with others"
        )

    app.router.add_get("/api/cluster", answered(guard, alone))
    app.router.add_post("/api/cluster/drain", answered(guard, alone))


@web.middleware
async def _said_in_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What aiohttp itself refuses of the control API, in the form in which everything else of it is refused."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or not request.path.startswith("/api/"):
            raise
        message = f"there is nothing at {request.path}; docs/control-api.md lists what is"
        if isinstance(error, web.HTTPMethodNotAllowed):
            message = f"{request.path} takes {', '.join(sorted(error.allowed_methods))}, not {request.method}"
        elif error.status != 404:
            message = error.text or error.reason
        answer = failure(error.status, error.reason.replace(" ", ""), message)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer


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

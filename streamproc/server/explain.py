"""``GET /api/processors/NAME/explain``: what happened at an instant, and why nothing was announced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web

from streamproc.config.duration import parse_duration
from streamproc.core.errors import InputError, NotFound
from streamproc.live.tracing import Asked, Tracing, span_about
from streamproc.threads import ENDING, TRACES
from streamproc.web.answers import answered, known_keys, may

if TYPE_CHECKING:
    from streamproc.live.supervisor import Supervisor
    from streamproc.server.context import DaemonContext

WINDOW = "10s"
MOST_WINDOW_S = 24 * 3600.0


async def mount_explain(context: DaemonContext) -> None:
    """The route; and what every run decides is kept, where the node's document does not forbid it."""
    from streamproc.store.trace_ring import TraceRing

    settings, supervisor = context.node.explain, context.supervisor

    async def explain(request: web.Request) -> dict[str, Any]:
        return await explained(supervisor, tracing, request)

    context.app.router.add_get("/api/processors/{name}/explain", answered(context.guard, explain))
    tracing = None
    if not settings.enabled:
        return
    folder = context.database.data_dir / "explain"
    tracing = Tracing(await TRACES.run(TraceRing, folder, settings.max_bytes))

    def follow(name: str) -> None:
        run = supervisor.run_of(name)
        if run is not None:
            tracing.follow(name, run)

    def forget(name: str) -> None:
        if not supervisor.known(name):
            TRACES.submit(tracing.forget, name)

    supervisor.notices.runs.append(follow)
    supervisor.notices.states.append(forget)
    tracing.open()
    context.tracing.append(tracing)

    async def close() -> None:
        await ENDING.run(tracing.close)

    context.on_closed.append(close)


async def explained(supervisor: Supervisor, tracing: Tracing | None, request: web.Request) -> dict[str, Any]:
    """The answer for ``?at=&window=``. Raises NotFound, and InputError for what cannot be read."""
    name, query = request.match_info["name"], request.query
    known_keys(query, ("at", "window"))
    config = supervisor.processor(name).config
    if tracing is None:
        raise NotFound("no trace is kept here; set explain: {enabled: true} in streamproc.yaml")
    start, end = span_about(_instant(query.get("at")), _window(query.get("window") or WINDOW), datetime.now(UTC))
    zone = datetime.now().astimezone().tzinfo
    faces = may(request, "review")
    return await TRACES.run(tracing.explain, name, config, Asked(start, end, zone, faces))


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        # A plus sign of an offset that was not quoted arrives as a blank.
        instant = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise InputError(f"at: {text!r} is no instant; write one such as 2026-11-26T21:14:03Z") from None
    return instant.astimezone(UTC) if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _window(text: str) -> timedelta:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InputError(f"window: {error}") from None
    if not 0 < seconds <= MOST_WINDOW_S:
        raise InputError("window: give more than nothing and at most 24h")
    return timedelta(seconds=seconds)

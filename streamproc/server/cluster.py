"""``/api/cluster``, and requests about processors that another node runs. docs/cluster.md describes both."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from streamproc.cluster.node import ClusterNode
from streamproc.core.errors import InputError, NodeUnreachable, NotFound
from streamproc.web.answers import answered, failure, known_keys
from streamproc.web.guard import Guard, Refused
from streamproc.web.json_body import json_object

log = structlog.get_logger(__name__)
PASSED_ON = "X-Streamproc-Passed-On"
"""Marks a request that one node sends to another: it goes no further."""
MEDIA = ("/whip/", "/whep/", "/watch/", "/publish/")
"""Paths where pictures come in or go out: they go straight to the node that runs the processor."""
ASK_S = 10.0
DRAIN_S = 60.0
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ClusterRoutes:
    """Handlers over this node's membership."""

    def __init__(self, cluster: ClusterNode, guard: Guard) -> None:
        self._cluster = cluster
        self._guard = guard

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/api/cluster", answered(self._guard, self.status))
        app.router.add_post("/api/cluster/drain", answered(self._guard, self.drain))
        app.middlewares.append(self._middleware())

    async def status(self, request: web.Request) -> Any:
        return self._cluster.status()

    async def drain(self, request: web.Request) -> Any:
        """``{"node": ID}``, or none for this one. Answers when everything is handed over."""
        body = await json_object(request) if request.can_read_body else {}
        known_keys(body, ("node",))
        wanted = body.get("node") or self._cluster.node_id
        if not isinstance(wanted, str):
            raise InputError("node: it is the id of a node, text")
        if wanted == self._cluster.node_id:
            await asyncio.shield(asyncio.ensure_future(self._cluster.drain()))
            return self._cluster.status()
        facts = self._cluster.directory.nodes().get(wanted)
        if facts is None:
            raise NotFound(f"there is no node {wanted!r} in the cluster")
        if not facts[0].address or not facts[1] or PASSED_ON in request.headers:
            raise NodeUnreachable(f"node {wanted} cannot be asked from here; drain it there")
        return await self._pass_on(request, facts[0].address, DRAIN_S)

    def _middleware(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Next) -> web.StreamResponse:
            name = request.match_info.get("name")
            if name is not None and request.path.startswith(MEDIA) and request.path.count("/") == 2:
                address = self._address(name) if request.method in ("GET", "POST") else None
                return await handler(request) if address is None else redirected(request, address)
            if name is None or not request.path.startswith("/api/processors/") or PASSED_ON in request.headers:
                return await handler(request)
            if request.method in ("PUT", "DELETE") and request.path.count("/") == 3:
                return await handler(request)  # each node keeps the documents itself
            address = self._address(name)
            if address is None:
                return await handler(request)
            try:
                self._guard.check(request)
                return await self._pass_on(request, address, ASK_S)
            except Refused as error:
                return failure(error.status, "refused", str(error))
            except NodeUnreachable as error:
                if request.method == "GET":
                    return await handler(request)  # what is known of it here
                return failure(503, NodeUnreachable.__name__, str(error))

        return middleware

    def _address(self, name: str) -> str | None:
        """Of the other node that runs a processor; None: it is this one's, or nobody's that could be asked."""
        if self._cluster.division.elsewhere(name) is None:
            return None
        owner = self._cluster.division.owner_of(name)
        if owner is None or owner == self._cluster.node_id:
            return None
        facts = self._cluster.directory.nodes().get(owner)
        return facts[0].address if facts is not None and facts[1] else None

    async def _pass_on(self, request: web.Request, address: str, timeout_s: float) -> web.Response:
        """Raises NodeUnreachable where the other does not answer, or not this node."""
        headers = {PASSED_ON: self._cluster.node_id, "Accept": "application/json"}
        token = os.environ.get(self._cluster.settings.token_env or "")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif "Authorization" in request.headers:
            headers["Authorization"] = request.headers["Authorization"]
        body = await request.read()
        if body:
            headers["Content-Type"] = request.headers.get("Content-Type", "application/json")
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
                session.request(
                    request.method, address.rstrip("/") + request.path_qs, data=body or None, headers=headers
                ) as answer,
            ):
                if answer.status in (401, 403):
                    raise NodeUnreachable(f"the node at {address} refuses this node's request; set cluster.token_env")
                content = await answer.read()
                return web.Response(status=answer.status, body=content, content_type=answer.content_type)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NodeUnreachable(f"the node at {address} does not answer: {error or 'too late'}") from None


def redirected(request: web.Request, address: str) -> web.Response:
    """The same on another node; 307 keeps method and body."""
    return web.Response(status=307, headers={"Location": address.rstrip("/") + request.path_qs})

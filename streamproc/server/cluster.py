"""``/api/cluster``, and requests about processors that another node runs. docs/cluster.md describes both."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import structlog
from aiohttp import web

from streamproc.aws.wire import Response
from streamproc.aws_protocol.http import BODY
from streamproc.aws_protocol.sigv4 import Signed
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
FOLLOWS_S = 5.0
"""Within this time a node has heard of a document that another one has shared."""
_NOT_FOUND = "ResourceNotFoundException"
_OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "transfer-encoding", "keep-alive", "expect", "accept-encoding", "te", "upgrade")
)
T = TypeVar("T")
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

    async def aws(self, name: str, operation: str, request: Signed) -> Response | None:
        """The same request of an AWS client, answered by the node that runs the processor, which asks for the same keys. None: it is
        this node's, or that one cannot be asked."""
        if PASSED_ON.lower() in request.headers or (address := self._address(name)) is None:
            return None
        headers = {key: value for key, value in request.headers.items() if key not in _OF_THE_CONNECTION}
        headers[PASSED_ON] = self._cluster.node_id

        async def ask() -> Response:
            timeout = aiohttp.ClientTimeout(total=ASK_S)
            url = address.rstrip("/") + request.path
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=request.body, headers=headers) as answer,
            ):
                kept = {key: value for key, value in answer.headers.items() if key.lower() not in _OF_THE_CONNECTION}
                return Response(answer.status, kept, await answer.read(), operation)

        try:
            found = await self._once_known(name, ask, lambda answer: _NOT_FOUND.encode() in answer.body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("not_passed_on", processor=name, operation=operation, reason=str(error) or "too late")
            return None
        if operation == "DeleteStreamProcessor" and found.status == 200:
            await self._until(lambda: not self._cluster.processors.supervisor.known(name))
        return found

    async def _once_known(self, name: str, ask: Callable[[], Awaitable[T]], unknown: Callable[[T], bool]) -> T:
        """The answer of another node, asked again for a while where it has yet to hear of a processor that this one knows."""
        end = asyncio.get_running_loop().time() + FOLLOWS_S
        while True:
            answer = await ask()
            known = self._cluster.processors.supervisor.known(name)
            if not known or not unknown(answer) or asyncio.get_running_loop().time() >= end:
                return answer
            await asyncio.sleep(0.2)

    async def _until(self, check: Callable[[], bool]) -> None:
        for _ in range(round(FOLLOWS_S / 0.05)):
            if check():
                return
            await asyncio.sleep(0.05)

    def _middleware(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Next) -> web.StreamResponse:
            if not changes_documents(request):
                return await routed(request, handler)
            answer = await routed(request, handler)
            name = started(request) if answer.status == 200 else None
            # What was confirmed outlives this node.
            await asyncio.gather(self._cluster.flushed(FOLLOWS_S), self._begun(name))
            return answer

        async def routed(request: web.Request, handler: Next) -> web.StreamResponse:
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
                return await self._once_known(
                    name, lambda: self._pass_on(request, address, ASK_S), lambda answer: answer.status == 404
                )
            except Refused as error:
                return failure(error.status, "refused", str(error))
            except NodeUnreachable as error:
                if request.method == "GET":
                    return await handler(request)  # what is known of it here
                return failure(503, NodeUnreachable.__name__, str(error))

        return middleware

    async def _begun(self, name: str | None) -> None:
        if name is not None:
            await self._cluster.begun(name, FOLLOWS_S)

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


def changes_documents(request: web.Request) -> bool:
    """Whether a request may change what is wanted of a processor."""
    if request.path.startswith("/api/processors"):
        return request.method in ("POST", "PUT", "DELETE")
    target = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    return request.path == "/" and target.endswith("StreamProcessor") and not target.startswith("Describe")


def started(request: web.Request) -> str | None:
    """The processor that a request asks to be started; None: it asks for something else, or cannot be read."""
    if request.path.startswith("/api/processors/"):
        return request.match_info.get("name") if request.path.endswith("/start") else None
    if not request.headers.get("X-Amz-Target", "").endswith(".StartStreamProcessor"):
        return None
    try:
        name = json.loads(request.get(BODY, b""))["Name"]
    except (ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def redirected(request: web.Request, address: str) -> web.Response:
    """The same on another node; 307 keeps method and body."""
    return web.Response(status=307, headers={"Location": address.rstrip("/") + request.path_qs})

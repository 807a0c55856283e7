"""What a node of a cluster does before it answers."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streamproc.aws_protocol.http import read_body
from streamproc.cluster.node import ClusterNode
from streamproc.server.cluster import ClusterRoutes
from streamproc.web.guard import Guard


class Asked:
    """Stands in for a node's membership; writes down what is waited for."""

    def __init__(self) -> None:
        self.waited: list[str] = []
        self.division = SimpleNamespace(elsewhere=lambda name: None)

    async def flushed(self, within_s: float) -> None:
        self.waited.append("flushed")

    async def begun(self, name: str, within_s: float) -> None:
        self.waited.append(name)


async def test_a_start_is_answered_when_the_log_has_its_session() -> None:
    """Else whoever takes over from a node that dies meanwhile begins another session, as the document says and not as Start did."""
    asked, app = Asked(), web.Application()
    ClusterRoutes(cast("ClusterNode", asked), cast("Guard", None)).mount(app)

    async def control(request: web.Request) -> web.Response:
        return web.Response()

    async def endpoint(request: web.Request) -> web.Response:
        body = await read_body(request, 1000)
        return web.Response(status=400 if b"missing" in (body or b"") else 200)

    app.router.add_post("/api/processors/{name}/{what}", control)
    app.router.add_post("/", endpoint)
    async with TestClient(TestServer(app)) as client:

        async def waited_for(path: str, operation: str = "", body: Any = None) -> list[str]:
            asked.waited.clear()
            headers = {"X-Amz-Target": f"RekognitionService.{operation}"} if operation else {}
            await client.post(path, data=json.dumps(body), headers=headers)
            return asked.waited

        assert await waited_for("/api/processors/door/start") == ["flushed", "door"]
        assert await waited_for("/api/processors/door/stop") == ["flushed"]
        assert await waited_for("/", "StartStreamProcessor", {"Name": "door"}) == ["flushed", "door"]
        assert await waited_for("/", "StartStreamProcessor", {"Name": "missing"}) == ["flushed"]
        assert await waited_for("/", "StartStreamProcessor", ["door"]) == ["flushed"]
        assert await waited_for("/", "StopStreamProcessor", {"Name": "door"}) == ["flushed"]
        assert await waited_for("/", "DescribeStreamProcessor", {"Name": "door"}) == []

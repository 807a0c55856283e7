"""The endpoint on aiohttp: ``POST /`` beside whatever else the server has."""

from __future__ import annotations

import asyncio

from aiohttp import web

from streamproc.aws.faults import access_denied
from streamproc.aws.wire import Endpoint, Response
from streamproc.aws_protocol.faults import AwsFault
from streamproc.aws_protocol.http import lower_headers, read_body, why_not_local
from streamproc.aws_protocol.sigv4 import Signed
from streamproc.metrics import AWS_REQUESTS

MAX_BODY_BYTES = 10_000_000
_BODY_DEADLINE_S = 60.0


def mount(app: web.Application, endpoint: Endpoint, max_body_bytes: int = MAX_BODY_BYTES) -> None:
    """Serve ``endpoint`` at ``POST /`` of ``app``. The app's own ``client_max_size`` does not apply."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await _answer(request, endpoint, max_body_bytes)
        AWS_REQUESTS.labels(response.operation, response.code or "OK").inc()
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    app.router.add_post("/", answer)


async def _answer(request: web.Request, endpoint: Endpoint, max_body_bytes: int) -> Response:
    if not endpoint.keys:
        refusal = why_not_local(request)
        if refusal is not None:
            return endpoint.refuse(access_denied(refusal))
    try:
        async with asyncio.timeout(_BODY_DEADLINE_S):
            body = await read_body(request, max_body_bytes)
    except TimeoutError:
        return endpoint.refuse(AwsFault("RequestTimeoutException", "The request's body did not come in time.", 408))
    if body is None:
        message = f"The request's body is larger than {max_body_bytes} bytes."
        return endpoint.refuse(AwsFault("RequestEntityTooLargeException", message, 413))
    headers = lower_headers(request)
    return await endpoint.handle(
        Signed(request.method, request.rel_url.raw_path, request.rel_url.raw_query_string, headers, body)
    )

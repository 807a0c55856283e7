"""The endpoint on aiohttp: ``POST /`` beside whatever else the server has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from streamproc.aws.faults import access_denied
from streamproc.aws.wire import Endpoint, Response
from streamproc.aws_protocol.faults import AwsFault
from streamproc.aws_protocol.http import lower_headers, read_body, why_not_local
from streamproc.aws_protocol.sigv4 import Signed
from streamproc.metrics import AWS_REQUESTS

MAX_BODY_BYTES = 10_000_000
_BODY_DEADLINE_S = 60.0
UNVERIFIED_BYTES = 128_000_000
"""Bodies that are read at the same time: a signature covers the body, so nobody is known before all of it is in memory."""


class BodyBudget:
    """Bytes that requests being read may still take. Belongs to the event loop."""

    def __init__(self, total: int = UNVERIFIED_BYTES) -> None:
        self._left = total

    @contextmanager
    def lend(self, size: int) -> Iterator[bool]:
        """Whether there is room for a body of ``size`` bytes; it is taken until the block ends."""
        taken = size if size <= self._left else 0
        self._left -= taken
        try:
            yield taken == size
        finally:
            self._left += taken


def mount(app: web.Application, endpoint: Endpoint, max_body_bytes: int = MAX_BODY_BYTES) -> None:
    """Serve ``endpoint`` at ``POST /`` of ``app``. The app's own ``client_max_size`` does not apply."""

    budget = BodyBudget()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = endpoint.refusal(lower_headers(request)) or await read_and_answer(request)
        AWS_REQUESTS.labels(response.operation, response.code or "OK").inc()
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    async def read_and_answer(request: web.Request) -> Response:
        size = request.content_length if request.content_length is not None else max_body_bytes
        with budget.lend(min(size, max_body_bytes)) as room:
            if room:
                return await _answer(request, endpoint, max_body_bytes)
        return endpoint.refuse(AwsFault("ThrottlingException", "Too many large requests at the same time.", 503))

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

"""The endpoint on aiohttp: ``POST /`` beside whatever else the server has."""

from __future__ import annotations

import asyncio
import ipaddress

from aiohttp import web

from streamproc.aws.faults import AwsFault, access_denied
from streamproc.aws.sigv4 import Signed
from streamproc.aws.wire import Endpoint, Response
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
        refusal = _not_from_here(request)
        if refusal is not None:
            return endpoint.refuse(access_denied(refusal))
    try:
        async with asyncio.timeout(_BODY_DEADLINE_S):
            body = await _read_body(request, max_body_bytes)
    except TimeoutError:
        return endpoint.refuse(AwsFault("RequestTimeoutException", "The request's body did not come in time.", 408))
    if body is None:
        message = f"The request's body is larger than {max_body_bytes} bytes."
        return endpoint.refuse(AwsFault("RequestEntityTooLargeException", message, 413))
    headers = _headers(request)
    return await endpoint.handle(
        Signed(request.method, request.rel_url.raw_path, request.rel_url.raw_query_string, headers, body)
    )


def _headers(request: web.Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def _read_body(request: web.Request, limit: int) -> bytes | None:
    """None where it is larger than ``limit``: by its own word before anything is read, or as it comes."""
    if (request.content_length or 0) > limit:
        return None
    # Counted also where a length was given: a compressed body grows when it is read.
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _not_from_here(request: web.Request) -> str | None:
    """Why a request is not let in where no access keys are set; None where it is.

    The connection must have come over loopback, and not from a page in a browser (which would send Origin).
    """
    address = request.transport.get_extra_info("sockname") if request.transport else None
    if "Origin" in request.headers:
        return "A browser may not call this endpoint while it has no access keys."
    if not address or not isinstance(address, tuple) or not ipaddress.ip_address(address[0].split("%")[0]).is_loopback:
        return "No access keys are set, so only this host is served; add server.credentials to streamproc.yaml."
    return None

"""HTTP requests of AWS clients as values: headers, bodies within a limit, and who is let in without access keys."""

from __future__ import annotations

import ipaddress

from aiohttp import web


def lower_headers(request: web.Request) -> dict[str, str]:
    """All headers by lower-case name; repeated ones joined by commas, as they are signed."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def read_body(request: web.Request, limit: int) -> bytes | None:
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


def why_not_local(request: web.Request) -> str | None:
    """Why a request is not let in where no access keys are set; None where it is.

    The connection must have come over loopback, and not from a page in a browser (which would send Origin).
    """
    address = request.transport.get_extra_info("sockname") if request.transport else None
    if "Origin" in request.headers:
        return "A browser may not call this endpoint while it has no access keys."
    if not address or not isinstance(address, tuple) or not ipaddress.ip_address(address[0].split("%")[0]).is_loopback:
        return "No access keys are set, so only this host is served; add server.credentials to streamproc.yaml."
    return None

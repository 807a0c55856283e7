"""HTTP requests of AWS clients as values: headers, bodies within a limit, and who is let in without access keys."""

from __future__ import annotations

from aiohttp import web

from streamproc.web.guard import foreign


def lower_headers(request: web.Request) -> dict[str, str]:
    """All headers by lower-case name; repeated ones joined by commas, as they are signed."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


BODY = web.RequestKey("body", bytes)
"""Key of a request for what ``read_body`` took: nothing else can read it a second time."""


async def read_body(request: web.Request, limit: int) -> bytes | None:
    """None where it is larger than ``limit``: by its own word before anything is read, or as it comes. A middleware finds it under ``BODY``."""
    if (request.content_length or 0) > limit:
        return None
    # Counted also where a length was given: a compressed body grows when it is read.
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            return None
    request[BODY] = bytes(body)
    return bytes(body)


def why_not_local(request: web.Request) -> str | None:
    """Why a request is not let in where no access keys are set; None where it is: from this host itself, and from no page in a browser."""
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return "A browser may not call this endpoint while it has no access keys."
    reason = foreign(request)
    if reason is not None:
        return f"No access keys are set, so only this host is served, and {reason}; add server.credentials to streamproc.yaml."
    return None

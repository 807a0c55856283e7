"""What every route of the control API does alike: the guard before it, JSON in and out, our errors as statuses."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from streamproc.core.errors import (
    AlreadyExists,
    HeldUp,
    InputError,
    InUse,
    LimitExceeded,
    NodeUnreachable,
    NotFound,
    StorageUnavailable,
    StreamprocError,
)
from streamproc.web.guard import Guard, Refused
from streamproc.web.roles import Identity

log = structlog.get_logger(__name__)
_IDENTITY = "streamproc.identity"
Handler = Callable[[web.Request], Awaitable[Any]]

STATUS: tuple[tuple[type[StreamprocError], int], ...] = (
    (NotFound, 404),
    (AlreadyExists, 409),
    (InUse, 409),
    (LimitExceeded, 429),
    (InputError, 400),
    (StorageUnavailable, 503),
    (HeldUp, 503),
    (NodeUnreachable, 503),
)


def answered(guard: Guard, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Guard, run, and turn our errors into statuses. What a handler returns is sent as JSON, unless it is a response already."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            request[_IDENTITY] = guard.check(request)
            result = await handler(request)
        except Refused as error:
            return failure(error.status, "refused", str(error))
        except StreamprocError as error:
            status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
            return failure(status, type(error).__name__, str(error))
        except web.HTTPException:
            raise
        except Exception:  # a request's boundary: the caller hears of it, the daemon goes on
            log.exception("request_failed", path=request.path)
            return failure(500, "InternalError", "something went wrong; the daemon's log has it")
        return result if isinstance(result, web.StreamResponse) else web.json_response(result, dumps=dumps)

    return answer


def may(request: web.Request, right: str) -> bool:
    """Whether whoever sent this request, which the guard let pass, also has ``right``."""
    identity: Identity = request[_IDENTITY]
    return right in identity.may


def known_keys(given: Any, known: tuple[str, ...]) -> None:
    """Raises InputError for a key, or a parameter, that a request does not have."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{unknown[0]}: not known here; use {', '.join(known)}")


def failure(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status, dumps=dumps)


def picture(data: bytes, cache: str) -> web.Response:
    """A JPEG. ``cache``: its Cache-Control."""
    return web.Response(body=data, content_type="image/jpeg", headers={"Cache-Control": cache})


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)

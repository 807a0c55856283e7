"""Who may use the control API: this host, or a bearer token; never a page of another site in somebody's browser."""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from streamproc.config.node import ServerSettings
from streamproc.core.errors import ConfigError, Fault

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


@dataclass(frozen=True, slots=True)
class KnownToken:
    name: str
    value: str
    may: frozenset[str]


def load_tokens(server: ServerSettings, environ: Mapping[str, str] = os.environ) -> tuple[KnownToken, ...]:
    """The tokens with their values. Raises ConfigError where an environment variable is not set."""
    known = []
    for index, token in enumerate(server.tokens):
        value = token.token.get_secret_value() if token.token is not None else environ.get(token.token_env or "")
        if not value:
            said = f"the environment variable {token.token_env} is not set; set it for the daemon"
            raise ConfigError("streamproc.yaml", [Fault(f"server.tokens[{index}].token_env", said)])
        known.append(KnownToken(token.name, value, frozenset(token.may)))
    return tuple(known)


class Refused(Exception):
    """The request may not be served."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Guard:
    """Pure but for the request that it looks at."""

    def __init__(self, tokens: Sequence[KnownToken]) -> None:
        self._tokens = tokens

    def check(self, request: web.Request, need: str = "control") -> None:
        """Raises Refused (401, 403 or 415)."""
        given = request.headers.get("Authorization", "")
        if given.startswith("Bearer "):
            self.check_token(given.removeprefix("Bearer ").strip(), need)
            return
        if not is_local(request):
            raise Refused(401, "beyond this host the control API needs a bearer token whose may lists control")
        check_browser(request)

    def check_token(self, value: str, need: str) -> None:
        """Raises Refused (401 or 403)."""
        found = [
            token
            for token in self._tokens
            if hmac.compare_digest(token.value.encode(), value.encode(errors="surrogateescape"))
        ]
        if not found:
            raise Refused(401, "unknown token")
        if not any(need in token.may for token in found):
            raise Refused(403, f"this token may not {need}; add it to the token's may")


def safe_listen(listen: str, guarded: bool) -> str:
    """``HOST:PORT`` to bind: where nothing is guarded by keys or tokens, loopback instead of any other address."""
    host, _, port = listen.rpartition(":")
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if guarded or loopback:
        return listen
    return f"[::1]:{port}" if ":" in host else f"127.0.0.1:{port}"


def is_local(request: web.Request) -> bool:
    """Came from this host itself, not through a proxy on it."""
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
    try:
        return not forwarded and ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def check_browser(request: web.Request) -> None:
    """The same for requests that carry JSON or nothing, which a page cannot send elsewhere unasked. Raises Refused."""
    check_site(request)
    if request.method not in ("GET", "HEAD") and request.content_type != "application/json":
        raise Refused(415, "send application/json")


def check_site(request: web.Request) -> None:
    """A page of another site can make a browser on this host send requests: not to us. Raises Refused."""
    host = request.headers.get("Host", "")
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    if name.lower() not in LOOPBACK_NAMES:
        raise Refused(403, "use localhost or 127.0.0.1 as the host, or a token")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Refused(403, "requests of other sites' pages are not served without a token")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "requests of other sites' pages are not served without a token")

"""Who may use the control API: this host, or a bearer token; never a page of another site in somebody's browser."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from streamproc.config.node import ServerSettings
from streamproc.core.errors import ConfigError, Fault
from streamproc.logic.redact import shown_variable
from streamproc.web.roles import LOCAL, Identity, needed, rights_of_token

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_PASSED_ON = re.compile(
    r"forwarded|(client|real|connecting|user|remote|originating)-?ip\b|remote-(addr|user)\b|original-(host|url|uri)\b"
    r"|^(via|proxy-connection|cdn-loop|x-host|x-scheme|x-request-id|x-correlation-id|x-amzn-trace-id)$"
    r"|^(cf|fastly|fly|akamai|tailscale|x-envoy|x-azure|x-amz-cf|x-arr|x-vercel|x-nf|x-appengine|x-webauth|x-auth-request|x-authentik)-"
)
"""Names of headers that reverse proxies, content networks and sign-in gateways add to what they pass on; clients send none of them themselves
(load balancers add X-Request-ID or X-Amzn-Trace-Id, and may be told to leave X-Forwarded-For out).
RFC 7239 (Forwarded), RFC 9110 7.6.3 (Via), RFC 8586 (CDN-Loop)."""
FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""What a page may send to another site without asking it first."""
TRUST_LOCAL: web.AppKey[bool] = web.AppKey("trust_local", bool)
"""Of an app: False where ``server.local`` is ``token``, for nodes behind a proxy that adds no header."""


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
            said = f"the environment variable {shown_variable(str(token.token_env))} is not set; set it for the daemon"
            raise ConfigError("streamproc.yaml", [Fault(f"server.tokens[{index}].token_env", said)])
        known.append(KnownToken(token.name, value, frozenset(token.may)))
    return tuple(known)


def token_of_peers(variable: str | None, environ: Mapping[str, str] = os.environ) -> tuple[KnownToken, ...]:
    """With what the nodes of a cluster ask one another; nothing where no variable is named. Raises ConfigError where it is not set."""
    if variable is None:
        return ()
    value = environ.get(variable)
    if not value:
        said = f"the environment variable {shown_variable(variable)} is not set; set it alike for every node"
        raise ConfigError("streamproc.yaml", [Fault("cluster.token_env", said)])
    return (KnownToken("cluster", value, frozenset({"admin"})),)


class Refused(Exception):
    """The request may not be served."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Users(Protocol):
    """Who is signed in."""

    @property
    def required(self) -> bool:
        """Whether somebody can sign in at all; where nobody can, being on this host is enough."""
        ...

    def who(self, request: web.Request) -> Identity | None:
        """The user whose session, or whose trusted proxy, sent the request; None where it is nobody's."""
        ...


class Guard:
    """Pure but for the request that it looks at. ``users``: where there are any, being on this host is not enough."""

    def __init__(self, tokens: Sequence[KnownToken], users: Users | None = None) -> None:
        self._tokens = tokens
        self._users = users

    @property
    def has_users(self) -> bool:
        return self._users is not None and self._users.required

    def signed_in(self, request: web.Request) -> bool:
        """Whether a user's session came with the request, allowed or not."""
        return self._users is not None and self._users.who(request) is not None

    def check(self, request: web.Request, need: str | None = None) -> Identity:
        """Who asks. ``need``: the right it takes, that of the request's method and path where left out.

        Raises Refused (401, 403 or 415).
        """
        need = need or needed(request.method, request.path)
        identity = self._who(request, need)
        if need not in identity.may:
            raise Refused(403, f"{identity.name} may not {need}")
        return identity

    def _who(self, request: web.Request, need: str) -> Identity:
        given = request.headers.get("Authorization", "")
        if given.startswith("Bearer "):
            return self.check_token(given.removeprefix("Bearer ").strip(), need)
        if self._users is not None and self._users.required:
            identity = self._users.who(request)
            if identity is not None:
                check_same_origin(request)
                return identity
            if need != "metrics":
                raise Refused(401, "sign in, or send a bearer token")
        check_site(request)
        reason = foreign(request)
        if reason is not None:
            raise Refused(401, f"a bearer token whose may lists {need} is needed: {reason}")
        check_browser(request)
        return LOCAL

    def check_token(self, value: str, need: str) -> Identity:
        """Raises Refused (401 or 403)."""
        found = [
            token
            for token in self._tokens
            if hmac.compare_digest(token.value.encode(), value.encode(errors="surrogateescape"))
        ]
        if not found:
            raise Refused(401, "unknown token")
        may = rights_of_token(frozenset().union(*(token.may for token in found)))
        if need not in may:
            raise Refused(403, f"this token may not {need}; add it to the token's may")
        return Identity(found[0].name, may)


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
    """Came from this host itself, not through a proxy on it; the one rule of every surface that trusts this host."""
    return foreign(request) is None


def foreign(request: web.Request) -> str | None:
    """Why a request does not surely come from this host itself, for people; None where it does."""
    if not request.app.get(TRUST_LOCAL, True):
        return "server.local is token, so this host's own requests need a token or an access key too"
    try:
        if not ipaddress.ip_address((request.remote or "").split("%")[0]).is_loopback:
            return "it comes from another host"
    except ValueError:
        return "it comes from no address"
    for name in request.headers:
        if _PASSED_ON.search(name.lower()):
            return f"its header {name} says that a proxy passed it on"
    return None if names_this_host(request) else "its Host header does not name this host; use 127.0.0.1 or localhost"


def names_this_host(request: web.Request) -> bool:
    """Whether the Host header names loopback: another name may be one that was bent to it (DNS rebinding), or a proxy's."""
    host = request.headers.get("Host", "")
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    return name.lower() in LOOPBACK_NAMES


def check_browser(request: web.Request) -> None:
    """The same for requests that carry JSON or nothing, which a page cannot send elsewhere unasked. Raises Refused."""
    check_site(request)
    upload = request.content_type.startswith(("image/", "video/")) and not _as_a_form(request)
    if request.method not in ("GET", "HEAD") and request.content_type != "application/json" and not upload:
        raise Refused(415, "send application/json")


def check_site(request: web.Request) -> None:
    """A page of another site can make a browser on this host send requests: not to us. Raises Refused."""
    if not names_this_host(request):
        raise Refused(403, "use localhost or 127.0.0.1 as the host, or a token")
    _check_origin(request)


def check_same_origin(request: web.Request) -> None:
    """For requests that a cookie vouches for: no page of another site may have sent them. Raises Refused.

    A page can send elsewhere, unasked, only what an HTML form could (Fetch standard, CORS-safelisted request headers); browsers name
    the page's own origin with every request that is no GET. A program that holds the cookie sends neither header.
    """
    _check_origin(request)
    if request.method not in ("GET", "HEAD") and request.can_read_body and _as_a_form(request):
        raise Refused(415, "send application/json, or a file with its own type")


def _as_a_form(request: web.Request) -> bool:
    return "Content-Type" not in request.headers or request.content_type in FORM_TYPES


def _check_origin(request: web.Request) -> None:
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise Refused(403, "requests of other sites' pages are not served without a token")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "requests of other sites' pages are not served without a token")

"""Who may use the control API: a table of requests."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from streamproc.web.guard import TRUST_LOCAL, Guard, KnownToken, Refused

TOKENS = (KnownToken("admin", "s3cret", frozenset({"control"})), KnownToken("wall", "view", frozenset({"watch"})))
JSON = {"Content-Type": "application/json"}


def ask(
    method: str, remote: str, headers: dict[str, str], host: str = "127.0.0.1:4566", trust_local: bool = True
) -> int:
    transport = Mock()
    transport.get_extra_info = lambda key, default=None: (remote, 1) if key == "peername" else default
    app = web.Application()
    app[TRUST_LOCAL] = trust_local
    request = make_mocked_request(
        method, "/api/processors", headers={"Host": host, **headers}, transport=transport, app=app
    )
    try:
        Guard(TOKENS).check(request)
    except Refused as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("method", "remote", "headers", "status"),
    [
        ("GET", "127.0.0.1", {}, 200),
        ("GET", "::1", {}, 200),
        ("POST", "127.0.0.1", JSON, 200),
        ("POST", "127.0.0.1", {"Content-Type": "text/plain"}, 415),
        ("GET", "127.0.0.1", {"Origin": "http://evil.example"}, 403),
        ("POST", "127.0.0.1", {**JSON, "Origin": "http://127.0.0.1:4566"}, 200),
        ("GET", "127.0.0.1", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "127.0.0.1", {"X-Forwarded-For": "192.0.2.9"}, 401),
        ("POST", "127.0.0.1", {**JSON, "Via": "1.1 proxy"}, 401),
        ("POST", "127.0.0.1", {**JSON, "CF-Connecting-IP": "192.0.2.9"}, 401),
        ("POST", "127.0.0.1", {**JSON, "X-Forwarded-Host": "cameras.example"}, 401),
        ("POST", "127.0.0.1", {**JSON, "Forwarded": "for=192.0.2.9"}, 401),
        ("GET", "127.0.0.1", {"Origin": "http://["}, 403),
        ("GET", "127.0.0.1", {"Origin": "null"}, 403),
        ("GET", "192.0.2.9", {}, 401),
        ("GET", "192.0.2.9", {"Authorization": "Bearer s3cret"}, 200),
        ("GET", "192.0.2.9", {"Authorization": "Bearer view"}, 403),
        ("GET", "192.0.2.9", {"Authorization": "Bearer wrong"}, 401),
        ("GET", "127.0.0.1", {"Authorization": "Bearer wrong"}, 401),
    ],
)
def test_table(method: str, remote: str, headers: dict[str, str], status: int) -> None:
    assert ask(method, remote, headers) == status


@pytest.mark.parametrize(
    "name",
    [
        "X-Real-IP", "True-Client-IP", "Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "WL-Proxy-Client-IP", "Ali-CDN-Real-IP",
        "X-ProxyUser-Ip", "X-Appengine-User-IP", "X-Originating-IP", "X-NF-Client-Connection-IP", "DO-Connecting-IP",
        "X-Original-Forwarded-For", "X-Vercel-Forwarded-For", "X-Original-Host", "X-Original-URL", "X-Host", "X-Scheme",
        "Remote-User", "X-Remote-User", "X-WebAuth-User", "X-Auth-Request-Email", "X-Authentik-Username", "Tailscale-User-Login",
        "CF-Ray", "Cf-Access-Jwt-Assertion", "CDN-Loop", "X-Amz-Cf-Id", "X-ARR-Log-ID", "X-Azure-ClientIP", "Fly-Client-IP",
        "X-Envoy-External-Address", "Proxy-Connection", "X-Request-ID", "X-Correlation-ID", "X-Amzn-Trace-Id",
    ],
)  # fmt: skip
def test_what_a_proxy_passed_on_does_not_come_from_this_host(name: str) -> None:
    assert ask("GET", "127.0.0.1", {name: "any"}) == 401


@pytest.mark.parametrize(
    "name",
    [
        "User-Agent",
        "Amz-Sdk-Request",
        "Amz-Sdk-Invocation-Id",
        "Traceparent",
        "X-Amz-Date",
        "X-Amz-Target",
        "X-Amz-User-Agent",
        "X-Requested-With",
        "Via-Nothing",
    ],
)
def test_what_clients_send_themselves_says_nothing_of_a_proxy(name: str) -> None:
    assert ask("GET", "127.0.0.1", {name: "any"}) == 200


def test_a_name_that_was_bent_to_loopback_is_not_served() -> None:
    assert ask("GET", "127.0.0.1", {}, host="rebound.example:4566") == 403


def test_a_node_behind_a_proxy_that_adds_nothing_asks_everybody_for_a_token() -> None:
    assert ask("GET", "127.0.0.1", {}, trust_local=False) == 401
    assert ask("GET", "127.0.0.1", {"Authorization": "Bearer s3cret"}, trust_local=False) == 200

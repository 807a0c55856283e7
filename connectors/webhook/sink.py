"""Events as HTTP requests."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from connectors.context import ConnectorContext, secret
from connectors.webhook import template
from connectors.webhook.settings import WebhookSinkSettings, host_of
from streamproc.contracts import Delivery
from streamproc.core.errors import InputError, SinkBusy, SinkRejected
from streamproc.logic.redact import without
from streamproc.plain import to_line

_WILL_PASS = frozenset({408, 425, 429})
_BODY_S = 1.0
"""So long is waited for the words of an answer whose status is there."""


class WebhookSink:
    """One request an event; any 2xx answer confirms it.

    Headers: ``X-Streamproc-Event`` (the id), ``X-Streamproc-Timestamp`` (epoch seconds of the attempt) and, with a secret,
    ``X-Streamproc-Signature: sha256=HEX``, the HMAC-SHA256 of the body, and ``X-Streamproc-Signature-Timestamped: sha256=HEX``, that of
    ``TIMESTAMP.BODY``, by which a receiver refuses what is old.
    """

    guarantee = (
        "every event at least once, in the order of its session; repeated under the same X-Streamproc-Event when an answer was lost. "
        "2xx confirms; 408, 425, 429, 5xx and no answer are tried again (Retry-After is honoured); other answers are dead letters"
    )

    def __init__(self, settings: WebhookSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._content_type = settings.content_type or (
            "text/plain; charset=utf-8" if isinstance(settings.template, str) else "application/json"
        )
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, delivery: Delivery) -> None:
        body = self._body(delivery).encode()
        place = "webhook"
        try:
            url = self._settings.url or secret(self._settings.url_env or "", "url_env")
            host = host_of(url)
            if host is None:
                raise InputError("url_env: what the variable holds is no address of the form http://HOST[:PORT]/PATH")
            place = host
            headers = self._headers(delivery.event.id, body)
            async with self._connected().request(
                self._settings.method, url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                said = await _said(answer)
                words = without(said, [*urlsplit(url)[2:], *(headers[name] for name in self._told(headers))])
                _judge(answer.status, answer.headers.get("Retry-After"), words)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SinkBusy(f"{place}: {_words(error)}") from error
        except InputError as error:
            raise SinkBusy(str(error)) from error

    def _told(self, headers: Mapping[str, str]) -> Iterable[str]:
        """Names of headers that the user set: many a receiver repeats what it was sent."""
        return (name for name in (*self._settings.headers, *self._settings.headers_env) if name in headers)

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await asyncio.shield(session.close())

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
                connector=aiohttp.TCPConnector(limit=16, ssl=self._settings.verify_tls),
                # A proxy of the environment (HTTPS_PROXY) is honoured; cookies of a receiver are nobody's business.
                trust_env=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _body(self, delivery: Delivery) -> str:
        settings = self._settings
        if settings.template is None:
            return to_line(delivery.document(settings.format))
        return template.render(settings.template, template.values(delivery, settings.format), self._content_type)

    def _headers(self, event_id: str, body: bytes) -> dict[str, str]:
        settings, now = self._settings, str(int(time.time()))
        headers = {
            "Content-Type": self._content_type,
            "User-Agent": "streamproc",
            "X-Streamproc-Event": event_id,
            "X-Streamproc-Timestamp": now,
        }
        headers |= settings.headers
        headers |= {name: secret(variable, "headers_env") for name, variable in settings.headers_env.items()}
        if settings.secret_env:
            key = secret(settings.secret_env, "secret_env").encode()
            headers["X-Streamproc-Signature"] = signature(key, body)
            headers["X-Streamproc-Signature-Timestamped"] = signature(key, now.encode() + b"." + body)
        return headers


def signature(key: bytes, data: bytes) -> str:
    """``sha256=`` and the HMAC-SHA256 in hex."""
    return "sha256=" + hmac.new(key, data, hashlib.sha256).hexdigest()


async def _said(answer: aiohttp.ClientResponse) -> str:
    """The beginning of the body. The status decides: a body that does not come confirms or refuses nothing."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_BODY_S):
            return (await answer.content.read(300)).decode("utf-8", "replace")
    return ""


def _words(error: Exception) -> str:
    """What went wrong, without the address: it may hold a token."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or type(error).__name__}"
    if isinstance(error, aiohttp.InvalidURL):
        return "the address is no URL"
    return type(error).__name__


def _judge(status: int, retry_after: str | None, words: str) -> None:
    """Return for 2xx; raise SinkBusy or SinkRejected for every other answer."""
    if 200 <= status < 300:
        return
    message = f"HTTP {status}: {' '.join(words.split())}".rstrip(": ")
    if status in _WILL_PASS or status >= 500:
        raise SinkBusy(message, _seconds(retry_after))
    raise SinkRejected(message)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After as seconds: a number, or a date (RFC 9110)."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None

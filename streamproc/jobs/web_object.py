"""A video on a web server, read by byte ranges under exactly its URL: one that was signed stays as it was signed."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException, HTTPResponse
from urllib.parse import quote, unquote, urlsplit, urlunsplit

TIMEOUT_S = 20
TRIES = 3
PAUSE_S = 0.3
"""Before the second try; the third waits twice as long."""
_PASSING = frozenset({429, 500, 502, 503, 504})
_SAFE = "/%:@!$&'()*+,;=~[]?"
"""Characters of a path or query that stay as they are (RFC 3986, 3.3 and 3.4); ``%`` begins an escape that is there already."""
_LOOSE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TOTAL = re.compile(r"bytes \d+-\d+/(\d+)$")


class HttpObject:
    """See ``sources.RemoteObject``. Asks by GET alone: a URL may be signed for that and nothing else."""

    def __init__(self, url: str) -> None:
        """Raises OSError where it cannot be had by ranges, ValueError where ``url`` is none."""
        parts = urlsplit(url)
        userinfo, _, place = parts.netloc.rpartition("@")
        self._url = urlunsplit((parts.scheme, place, _escaped(parts.path) or "/", _escaped(parts.query), ""))
        self._credentials = unquote(userinfo)
        self._etag: str | None = None
        self._opener = _opener()
        with self._answer(0, 1) as answer:
            total = _TOTAL.match(answer.headers.get("Content-Range", ""))
            if answer.status != 206 or total is None:
                raise OSError("this web server sends no byte ranges; fetch the video, and give the file")
            etag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        self.size = int(total[1])
        self.version = str(etag or modified or self.size)
        self._etag = etag if etag and not etag.startswith("W/") else None

    def read(self, start: int, end: int) -> bytes:
        """See ``sources.RemoteObject``. Raises OSError, also where the file was changed since it was opened."""
        for tried in range(TRIES):
            if tried:
                time.sleep(PAUSE_S * tried)
            with self._answer(start, end) as answer:
                if answer.status != 206:
                    raise OSError("the web server has stopped sending byte ranges")
                try:
                    data = answer.read(end - start)
                except (OSError, HTTPException):
                    continue
            if len(data) == end - start:
                return data
        raise OSError("the web server breaks off in the middle")

    def _answer(self, start: int, end: int) -> HTTPResponse:
        """To a request for these bytes. Tried again where the fault may pass."""
        request = urllib.request.Request(self._url, headers={"Range": f"bytes={start}-{end - 1}"})
        if self._credentials:  # not passed on to where a redirect leads
            secret = b64encode(self._credentials.encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {secret}")
        if self._etag is not None:
            request.add_header("If-Match", self._etag)
        for tries_left in reversed(range(TRIES)):
            try:
                answer: HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
                return answer
            except urllib.error.HTTPError as error:
                error.close()
                if error.code not in _PASSING or not tries_left:
                    raise OSError(f"the web server answers {error.code}") from None
            except HTTPException as error:
                if not tries_left:
                    raise OSError(f"the web server's answer is no HTTP: {type(error).__name__}") from None
            except urllib.error.URLError as error:
                if not tries_left:
                    raise OSError(str(error.reason)) from None
            time.sleep(PAUSE_S * (TRIES - tries_left))
        raise AssertionError("unreachable")


def _escaped(text: str) -> str:
    return quote(_LOOSE_PERCENT.sub("%25", text), safe=_SAFE)


def _opener() -> urllib.request.OpenerDirector:
    """Proxies of the environment and redirects, and no other scheme than HTTP's."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener

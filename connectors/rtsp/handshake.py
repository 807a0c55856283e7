"""From a fresh connection to a playing camera: OPTIONS, DESCRIBE, SETUP, PLAY (RFC 2326), with its challenges answered. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from connectors.rtsp.auth import Authorizer, Challenge, Credentials, challenges
from connectors.rtsp.messages import Response, request
from connectors.rtsp.sdp import VideoMedia, described
from streamproc.core.errors import SourceError, SourceRefused
from streamproc.logic.redact import redact

DEFAULT_TIMEOUT_S = 60.0
"""A session without a sign of life ends after so long (RFC 2326 12.37)."""
REFUSED = "the camera refused user or password; fix username_env and password_env (or the URL) and start again"
NOT_FOUND = "the camera has no stream of that path (404); fix the path of the URL"


class NotReadHere(SourceError):
    """A camera that FFmpeg may know how to read."""


class Redirected(SourceError):
    """The camera sends us elsewhere."""

    def __init__(self, location: str) -> None:
        super().__init__("the camera sends us to another address")
        self.location = location


class Handshake:
    """Sans I/O: ``begin`` and ``answered`` give the bytes to send; ``video`` is set and ``playing`` true once pictures may come."""

    def __init__(self, url: str, credentials: Credentials | None, client_nonce: str) -> None:
        """``url``: without user and password."""
        self._url = url
        self._credentials = credentials
        self._client_nonce = client_nonce
        self._authorizer: Authorizer | None = None
        self._tried: list[Challenge] = []
        self._sequence = 0
        self._asked = ("", "", dict[str, str]())
        self._control = url
        self._session = ""
        self._keepalive = "OPTIONS"
        self.video: VideoMedia | None = None
        self.channel = 0
        """Of the video's RTP; RTCP has the next."""
        self.timeout_s = DEFAULT_TIMEOUT_S
        self.playing = False

    @property
    def waits_for(self) -> str:
        """The request that was not answered yet; empty when playing."""
        return "" if self.playing else self._asked[0]

    def begin(self) -> bytes:
        return self._ask("OPTIONS", self._url)

    def keepalive(self) -> bytes:
        """A sign of life; what is answered does not matter."""
        return self._ask(self._keepalive, self._control, self._with_session())

    def teardown(self) -> bytes:
        return self._ask("TEARDOWN", self._control, self._with_session())

    def answered(self, response: Response) -> bytes:
        """The next request; empty: none. Raises SourceError, SourceRefused, Redirected or NotReadHere."""
        if response.status < 200:
            return b""
        if self.playing:  # to a sign of life
            return self._challenged(response) if response.status == 401 else b""
        if response.status == 401:
            return self._challenged(response)
        method = self._asked[0]
        if method != "OPTIONS":
            self._check(response)
        step: dict[str, Callable[[Response], bytes]] = {
            "OPTIONS": self._options, "DESCRIBE": self._described, "SETUP": self._set_up, "PLAY": self._plays,
        }  # fmt: skip
        return step[method](response)

    # -- inside

    def _ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> bytes:
        self._asked = (method, url, headers or {})
        self._sequence += 1
        sent = dict(self._asked[2])
        if self._authorizer is not None:
            sent["Authorization"] = self._authorizer.header(method, url)
        return request(method, url, self._sequence, sent)

    def _with_session(self) -> dict[str, str]:
        return {"Session": self._session} if self._session else {}

    def _challenged(self, response: Response) -> bytes:
        """Answer a 401 and ask again; the strongest challenge first, each once."""
        known, unknown = challenges(response.headers.get("www-authenticate", ()))
        if not known and unknown:
            raise SourceRefused(f"the camera wants an authentication that is not known here: {', '.join(unknown)[:80]}")
        if self._credentials is None:
            raise SourceRefused(REFUSED)
        stale = self._authorizer is not None and any(each.stale for each in known)
        tried = {(each.scheme, each.algorithm) for each in self._tried} if not stale else set()
        left = [each for each in known if (each.scheme, each.algorithm) not in tried]
        if not left or len(self._tried) > 6:
            raise SourceRefused(REFUSED)
        self._tried.append(left[0])
        self._authorizer = Authorizer(left[0], self._credentials, self._client_nonce)
        return self._ask(*self._asked)

    def _check(self, response: Response) -> None:
        status = response.status
        if status in (301, 302, 303, 305, 307) and response.header("location"):
            raise Redirected(response.header("location"))
        if status == 403:
            raise SourceRefused(REFUSED)
        if status == 404:
            raise SourceError(NOT_FOUND)
        if status == 461:
            raise NotReadHere("the camera does not send by TCP")
        if not 200 <= status < 300:
            raise SourceError(f"the camera answered {status} {redact(response.reason)[:80]}".strip())

    def _options(self, response: Response) -> bytes:
        if "GET_PARAMETER" in response.header("public").upper():
            self._keepalive = "GET_PARAMETER"
        return self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})

    def _described(self, response: Response) -> bytes:
        base = response.header("content-base") or response.header("content-location") or self._url
        found = described(response.body, base)
        if found.video is None:
            raise NotReadHere(f"the camera offers {', '.join(found.offered)[:80] or 'no video'}")
        self.video, self._control = found.video, found.control
        return self._ask("SETUP", found.video.control, {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"})

    def _set_up(self, response: Response) -> bytes:
        self._session, _, rest = response.header("session").partition(";")
        self._session = self._session.strip()
        timeout = re.search(r"timeout\s*=\s*(\d{1,5})", rest, re.IGNORECASE)
        if timeout and int(timeout[1]):
            self.timeout_s = float(timeout[1])
        channels = re.search(r"interleaved\s*=\s*(\d{1,3})", response.header("transport"), re.IGNORECASE)
        if "TCP" not in response.header("transport").upper():
            raise NotReadHere("the camera does not send by TCP")
        self.channel = int(channels[1]) if channels else 0
        return self._ask("PLAY", self._control, {**self._with_session(), "Range": "npt=0.000-"})

    def _plays(self, response: Response) -> bytes:
        self.playing = True
        return b""

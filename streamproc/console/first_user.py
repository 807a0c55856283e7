"""``POST /api/setup``: the first user of a node that has none, by the link that the daemon's log shows once."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from streamproc.console.session import enter_as, private
from streamproc.core.errors import InputError
from streamproc.threads import SIGN_IN
from streamproc.web.answers import failure
from streamproc.web.attempts import Attempts
from streamproc.web.guard import Refused, check_same_origin
from streamproc.web.json_body import json_object
from streamproc.web.passwords import hash_password
from streamproc.web.signin import KnownUser, SignIn

LEAST_PASSWORD, MOST_PASSWORD = 8, 1024
_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,64}")


class FirstUserRoutes:
    """``secret``: what the link holds; None: no link was given out. ``keep(name, hash, role)``: False where somebody was first."""

    def __init__(self, sign_in: SignIn, secret: str | None, keep: Callable[[str, str, str], bool]) -> None:
        self._sign_in = sign_in
        self._secret = secret
        self._keep = keep
        self._attempts = Attempts()

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/api/setup", self.show)
        app.router.add_post("/api/setup", self.make)

    async def show(self, request: web.Request) -> web.Response:
        """``{"open":}``: whether a link can still be used."""
        return private(web.json_response({"open": self._open}))

    async def make(self, request: web.Request) -> web.Response:
        """``{"secret":, "name":, "password":}``: an admin, signed in at once."""
        try:
            check_same_origin(request)
            if request.content_type != "application/json":
                raise Refused(415, "send application/json")
            if not self._open:
                raise Refused(410, "this node has been set up; sign in")
            name, password = self._asked(request, await json_object(request))
        except Refused as refused:
            return failure(refused.status, "refused", str(refused))
        except InputError as error:
            return failure(400, "InputError", str(error))
        hashed = await SIGN_IN.run(hash_password, password)
        if not await SIGN_IN.run(self._keep, name, hashed, "admin"):
            return failure(410, "refused", "this node has been set up; sign in")
        self._sign_in.add(KnownUser(name, "admin", hashed))
        secret = await self._sign_in.sign_in(name, password, self._sign_in.address_of(request))
        return enter_as(request, name, secret or "")

    @property
    def _open(self) -> bool:
        return self._secret is not None and not self._sign_in.required

    def _asked(self, request: web.Request, body: dict[str, Any]) -> tuple[str, str]:
        """Name and password. Raises Refused for a wrong link and InputError for what cannot be used."""
        address, now = self._sign_in.address_of(request), time.monotonic()
        if (wait := self._attempts.wait_s(address, now)) > 0:
            raise Refused(429, f"too many attempts; try again in {wait:.0f} s")
        secret, name, password = body.get("secret"), body.get("name"), body.get("password")
        if not isinstance(secret, str) or not hmac.compare_digest(secret.encode(), (self._secret or "").encode()):
            self._attempts.begin(address, now)
            raise Refused(403, "this is not the set-up link of the running daemon; its log shows the right one")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError("name: 1 to 64 characters without blanks")
        if not isinstance(password, str) or not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            raise InputError(f"password: at least {LEAST_PASSWORD} characters")
        return name, password

"""``/api/session``: signing in and out, and who one is."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from streamproc.core.errors import InputError
from streamproc.web.answers import failure
from streamproc.web.guard import Guard, Refused, check_same_origin
from streamproc.web.json_body import json_object
from streamproc.web.signin import COOKIE, LONGEST_S, SignIn, TooManyAttempts

MAX_PASSWORD = 1024


class SessionRoutes:
    """Handlers over one sign-in."""

    def __init__(self, guard: Guard, sign_in: SignIn, nodes: bool = False) -> None:
        """``nodes``: whether this one shares processors with others."""
        self._guard = guard
        self._sign_in = sign_in
        self._nodes = nodes

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/api/session", self.show)
        app.router.add_post("/api/session", self.enter)
        app.router.add_delete("/api/session", self.leave)

    async def show(self, request: web.Request) -> web.Response:
        """``{"signed_in":, "name":, "role":, "may": [...], "users":, "nodes":}``; ``users``: whether one can sign in here; ``nodes``: whether there
        are others."""
        known: dict[str, Any] = {"signed_in": False, "users": self._sign_in.required}
        try:
            identity = self._guard.check(request, "view")
        except Refused as refused:
            return private(web.json_response(known | {"reason": str(refused)}))
        may = sorted(identity.may)
        return private(
            web.json_response(
                known
                | {"signed_in": True, "name": identity.name, "role": identity.role, "may": may, "nodes": self._nodes}
            )
        )

    async def enter(self, request: web.Request) -> web.Response:
        """``{"name":, "password":}``: a new session's cookie, whatever cookie came with the request."""
        try:
            check_same_origin(request)
            if request.content_type != "application/json":
                raise Refused(415, "send application/json")
            if not self._sign_in.required:
                raise Refused(404, "no users are set; add server.users to streamproc.yaml")
            body = await json_object(request)
        except Refused as refused:
            return failure(refused.status, "refused", str(refused))
        except InputError as error:
            return failure(400, "InputError", str(error))
        name, password = body.get("name"), body.get("password")
        if not isinstance(name, str) or not isinstance(password, str) or len(password) > MAX_PASSWORD:
            return failure(400, "InputError", "send name and password as text")
        try:
            secret = await self._sign_in.sign_in(name, password, self._sign_in.address_of(request))
        except TooManyAttempts as error:
            answer = failure(429, "TooManyAttempts", str(error))
            answer.headers["Retry-After"] = str(int(error.wait_s) + 1)
            return answer
        if secret is None:
            return failure(401, "refused", "the name or the password is wrong")
        await self._sign_in.sign_out(request.cookies.get(COOKIE))
        return enter_as(request, name, secret)

    async def leave(self, request: web.Request) -> web.Response:
        """End the session of the request's cookie."""
        try:
            check_same_origin(request)
        except Refused as refused:
            return failure(refused.status, "refused", str(refused))
        await self._sign_in.sign_out(request.cookies.get(COOKIE))
        answer = private(web.json_response({"signed_in": False}))
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=request.secure)
        return answer


def enter_as(request: web.Request, name: str, secret: str) -> web.Response:
    """The answer that signs a browser in."""
    answer = private(web.json_response({"signed_in": True, "name": name}))
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(LONGEST_S),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return answer


def private(answer: web.Response) -> web.Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer

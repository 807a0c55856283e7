"""Signing in with a name and a password: cookies, sessions, and proxies that did it before us."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from aiohttp import web

from streamproc.config.node import ProxySettings, ServerSettings
from streamproc.core.errors import ConfigError, Fault
from streamproc.logic.redact import shown_variable
from streamproc.threads import SIGN_IN
from streamproc.web.attempts import Attempts
from streamproc.web.passwords import is_hash, matches
from streamproc.web.roles import ROLES, Identity

COOKIE: Final = "streamproc_session"
IDLE_S: Final = 12 * 3600.0
"""A session that was not used for so long is over."""
LONGEST_S: Final = 30 * 24 * 3600.0
TOUCH_S: Final = 60.0
"""The last use is kept to this precision, so that reading costs no write."""


class KnownSignin(Protocol):
    """One session as kept."""

    @property
    def name(self) -> str: ...
    @property
    def password_mark(self) -> str: ...
    @property
    def created(self) -> float: ...
    @property
    def used(self) -> float: ...


class Signins(Protocol):
    """The sessions as the store keeps them, by the digest of their secret."""

    def find(self, digest: bytes) -> KnownSignin | None: ...
    def add(self, digest: bytes, name: str, password_mark: str, now: float) -> None: ...
    def touch(self, digest: bytes, used: float) -> None: ...
    def drop(self, digest: bytes) -> None: ...


class TooManyAttempts(Exception):
    """``wait_s``: seconds until the address may try again."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"too many attempts; try again in {wait_s:.0f} s")


class KnownUser:
    """A user of the document with the hash from the environment, or one whom the set-up link made."""

    def __init__(self, name: str, role: str, password_hash: str) -> None:
        self.identity = Identity(name, ROLES[role])
        self.password_hash = password_hash
        self.mark = hashlib.sha256(password_hash.encode()).hexdigest()[:16]


def load_users(server: ServerSettings, environ: Mapping[str, str] = os.environ) -> tuple[KnownUser, ...]:
    """The users with their hashes. Raises ConfigError where an environment variable holds none."""
    known = []
    for index, user in enumerate(server.users):
        value = environ.get(user.password_hash_env, "").strip()
        if not is_hash(value):
            said = "is not set" if not value else "holds no password hash"
            raise ConfigError(
                "streamproc.yaml",
                [
                    Fault(
                        f"server.users[{index}].password_hash_env",
                        f"the environment variable {shown_variable(user.password_hash_env)} {said}; set it to the line that `streamproc passwd` prints",
                    )
                ],
            )
        known.append(KnownUser(user.name, user.role, value))
    return tuple(known)


class SignIn:
    """Who is signed in, and how one does. Belongs to the event loop."""

    def __init__(
        self,
        users: tuple[KnownUser, ...],
        store: Signins,
        proxy: ProxySettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._users = {user.identity.name: user for user in users}
        self._store = store
        self._proxy = proxy
        self._clock = clock
        self._attempts = Attempts()
        self._hashing = asyncio.Semaphore(2)  # each check takes 64 MiB and a core for a moment
        self._touches: set[asyncio.Future[None]] = set()

    @property
    def required(self) -> bool:
        """Whether there is anybody who could sign in, so that everybody has to."""
        return self.has_users or self._proxy is not None

    @property
    def has_users(self) -> bool:
        return bool(self._users)

    def add(self, user: KnownUser) -> None:
        """One more user from now on."""
        self._users[user.identity.name] = user

    def who(self, request: web.Request) -> Identity | None:
        """The user of the request's cookie or of a trusted proxy's header; None where there is none."""
        return self._of_cookie(request.cookies.get(COOKIE)) or self._of_proxy(request)

    async def sign_in(self, name: str, password: str, address: str) -> str | None:
        """The new session's secret, for the cookie; None where name or password are wrong. Raises TooManyAttempts."""
        now = self._clock()
        if (wait := self._attempts.wait_s(address, now)) > 0:
            raise TooManyAttempts(wait)
        self._attempts.begin(address, now)
        user = self._users.get(name)
        async with self._hashing:
            right = await SIGN_IN.run(matches, user.password_hash if user else None, password)
        if not right or user is None:
            return None
        self._attempts.succeeded(address)
        secret = secrets.token_urlsafe(32)
        await SIGN_IN.run(self._store.add, _digest(secret), name, user.mark, self._clock())
        return secret

    async def sign_out(self, secret: str | None) -> None:
        """End the session of a cookie."""
        if secret:
            await SIGN_IN.run(self._store.drop, _digest(secret))

    def address_of(self, request: web.Request) -> str:
        """Where the request comes from: behind the trusted proxy, the last address it was passed on for."""
        remote = request.remote or ""
        if self._proxy is None or remote not in self._proxy.trusted:
            return remote
        chain = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
        return next((part for part in reversed(chain) if part not in self._proxy.trusted), remote)

    def _of_cookie(self, secret: str | None) -> Identity | None:
        if not secret or len(secret) > 100:
            return None
        digest, now = _digest(secret), self._clock()
        found = self._store.find(digest)
        user = self._users.get(found.name) if found is not None else None
        if found is None or user is None or found.password_mark != user.mark:
            return None
        if now - found.used > IDLE_S or now - found.created > LONGEST_S:
            return None
        if now - found.used > TOUCH_S:
            touch = asyncio.wrap_future(SIGN_IN.submit(self._store.touch, digest, now))
            self._touches.add(touch)
            touch.add_done_callback(self._touches.discard)
        return user.identity

    def _of_proxy(self, request: web.Request) -> Identity | None:
        if self._proxy is None or (request.remote or "") not in self._proxy.trusted:
            return None
        name = request.headers.get(self._proxy.user_header, "").strip()
        if not name:
            return None
        known = self._users.get(name)
        return known.identity if known else Identity(name[:64], ROLES[self._proxy.role])


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()

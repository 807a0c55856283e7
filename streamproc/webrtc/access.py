"""Who may publish and watch: a bearer token where tokens are set; without any, only this host."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from streamproc.web.guard import Guard, KnownToken, Refused, check_site, is_local


class Access:
    """Looks at requests only."""

    def __init__(self, tokens: Sequence[KnownToken], guard: Guard | None = None) -> None:
        self.open = not tokens
        """No tokens are set."""
        self._guard = guard or Guard(tokens)

    def check(self, request: web.Request, need: str) -> None:
        """Raises Refused: 401 without a token or with an unknown one, 403 where it may not."""
        given = request.headers.get("Authorization", "")
        if not given and self._guard.signed_in(request):
            self._guard.check(request, need)
        elif not self.open or self._guard.has_users:
            if not given.lower().startswith("bearer ") or not given[7:].strip():
                raise Refused(401, "send Authorization: Bearer TOKEN")
            self._guard.check_token(given[7:].strip(), need)
        elif given and not is_local(request):
            raise Refused(401, "no tokens are set; set server.tokens")
        elif not is_local(request):
            raise Refused(401, "beyond this host a token is needed; set server.tokens")
        else:
            check_site(request)

    def sees_people(self, request: web.Request) -> bool:
        """Whether whoever sent this request, which ``check`` let pass, may know who was seen: a signed-in user needs the right for it."""
        if request.headers.get("Authorization") or not self._guard.signed_in(request):
            return True
        return "review" in self._guard.check(request, "watch").may

    def cors(self) -> dict[str, str]:
        """With tokens any page may ask: it needs the token, and no cookie is in play. Without, none but ours."""
        if self.open:
            return {}
        return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Location, Link, ETag"}

    def preflight(self) -> dict[str, str]:
        if self.open:
            return {}
        return self.cors() | {
            "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
            "Access-Control-Max-Age": "600",
        }

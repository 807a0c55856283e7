"""WHIP (RFC 9725), WHEP and the watch page as routes of the daemon's app."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from streamproc.config.regions import to_regions
from streamproc.core.errors import InUse, LimitExceeded, NotFound, StreamprocError
from streamproc.live.supervisor import Supervisor
from streamproc.logic.event_query import FACES
from streamproc.threads import HISTORY
from streamproc.web.guard import Refused
from streamproc.webrtc.access import Access
from streamproc.webrtc.hub import WebRtcHub
from streamproc.webrtc.offer import MAX_BYTES, OfferRefused, read_fragment, read_offer
from streamproc.webrtc.peer import Peer
from streamproc.webrtc.scene import Listener, message

log = structlog.get_logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATIC = Path(__file__).parent / "static"
STATUS: tuple[tuple[type[StreamprocError], int], ...] = ((NotFound, 404), (InUse, 409), (LimitExceeded, 503))
PATIENCE_S = 10.0
"""A comment keeps a quiet stream of events open."""
STATE_EVERY_S = 1.0
LAST_EVENTS = 20


class Pages:
    """Handlers over one room."""

    def __init__(self, room: WebRtcHub, access: Access) -> None:
        self._room = room
        self._access = access

    @property
    def _supervisor(self) -> Supervisor:
        return self._room.supervisor

    def mount(self, app: web.Application) -> None:
        routes = (
            ("POST", "/whip/{name}", "publish", self.whip),
            ("PATCH", "/whip/{name}/{session}", "publish", self.trickle),
            ("DELETE", "/whip/{name}/{session}", "publish", self.end),
            ("POST", "/whep/{name}", "watch", self.whep),
            ("PATCH", "/whep/{name}/{session}", "watch", self.trickle),
            ("DELETE", "/whep/{name}/{session}", "watch", self.end),
            ("GET", "/watch/{name}/events", "watch", self.events),
            ("GET", "/watch/{name}/events/{event}/{part:frame|crop}", "watch", self.picture),
        )
        for method, path, need, handler in routes:
            app.router.add_route(method, path, self._answered(need, handler))
        for path in sorted({path for _, path, _, _ in routes}):
            app.router.add_route("OPTIONS", path, self.options)
        for page in ("watch", "publish"):
            app.router.add_get(f"/{page}/{{name}}", make_page(STATIC / f"{page}.html"))

    async def whip(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._room.settled(name)
        self._room.source(name)
        offer = read_offer(await sdp_body(request, "application/sdp"), "send")
        session, answer = await self._room.publish(name, offer)
        return created(f"/whip/{name}/{session}", answer)

    async def whep(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._room.settled(name)
        offer = read_offer(await sdp_body(request, "application/sdp"), "receive")
        session, answer = await self._room.watch(name, offer)
        return created(f"/whep/{name}/{session}", answer)

    async def trickle(self, request: web.Request) -> web.Response:
        peer = self._peer(request)
        body = await sdp_body(request, "application/trickle-ice-sdpfrag")
        await peer.add_candidates(read_fragment(body))
        return web.Response(status=204)

    async def end(self, request: web.Request) -> web.Response:
        await self._peer(request).aclose("it ended the session")
        return web.Response(status=200)

    async def options(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Accept-Post": "application/sdp", **self._access.preflight()})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: ``state``, ``look`` and ``event``. ``?viewer=``: the WHEP session whose pictures looks are stamped for."""
        name = request.match_info["name"]
        listener = self._room.listen(name, request.query.get("viewer"), self._access.sees_people(request))
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers | self._access.cors())
        states: asyncio.Task[None] | None = None
        try:
            await response.prepare(request)
            for event in reversed(self._supervisor.journal.recent(name, LAST_EVENTS)):
                if listener.may_see(event):
                    await response.write(message("past", listener.document(event)))
            states = asyncio.create_task(self._states(name, listener), name="page state")
            while True:
                try:
                    words = await asyncio.wait_for(listener.next(), PATIENCE_S)
                    if words is None:
                        break
                except TimeoutError:
                    words = b": still here\n\n"
                await asyncio.wait_for(response.write(words), PATIENCE_S)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            if states is not None:
                states.cancel()
            self._room.leave(name, listener)
        return response

    async def picture(self, request: web.Request) -> web.Response:
        """The crop or the frame of an event, while it is kept."""
        name, wanted = request.match_info["name"], request.match_info["event"]
        found = await HISTORY.run(self._supervisor.journal.event, wanted)
        hidden = found is not None and found[0].type.value in FACES and not self._access.sees_people(request)
        if found is None or found[0].processor != name or found[1] is None or hidden:
            raise NotFound("the picture is not kept any more")
        pictures = found[1]
        data = pictures.crop if request.match_info["part"] == "crop" else pictures.frame
        return web.Response(body=data, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    async def _states(self, name: str, listener: Listener) -> None:
        before: dict[str, Any] | None = None
        while True:
            now = await self._state(name)
            if now != before:
                listener.put("state", now)
                before = now
            await asyncio.sleep(STATE_EVERY_S)

    async def _state(self, name: str) -> dict[str, Any]:
        try:
            view = await self._supervisor.view(name)
        except NotFound:
            return {"name": name, "state": "deleted", "source": {}, "regions": []}
        regions = [
            {"name": region.name, "points": [list(point) for point in region.points]}
            for region in to_regions(view.config.regions)
        ]
        document = view.to_json(brief=True)
        kept = {key: document[key] for key in ("name", "state", "message", "source", "session")}
        return kept | {"regions": regions, "transcoded": self._room.relay(name).pictures.unplayable}

    def _peer(self, request: web.Request) -> Peer:
        """Of this very path: an id alone does not open another processor's session."""
        name, session = request.match_info["name"], request.match_info["session"]
        if request.path.startswith("/whip/"):
            published = self._room.publishers.get(session)
            if published is not None and published.name == name:
                return published.peer
        else:
            watched = self._room.viewers.get(session)
            if watched is not None and watched[1].name == name:
                return watched[0].peer
        raise NotFound("there is no such session; it may have ended")

    def _answered(self, need: str, handler: Handler) -> Handler:
        """Check the token, and turn our errors into statuses."""

        @functools.wraps(handler)
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                self._access.check(request, need)
                response = await handler(request)
            except Refused as error:
                response = refusal(error.status, str(error))
            except OfferRefused as error:
                response = refusal(error.status, str(error))
            except StreamprocError as error:
                response = refusal(next((code for kind, code in STATUS if isinstance(error, kind)), 400), str(error))
            except web.HTTPException:
                raise
            except Exception:  # a request's boundary: the caller hears of it, the daemon goes on
                log.exception("request_failed", path=request.path)
                response = refusal(500, "something went wrong; the daemon's log has it")
            if not response.prepared:
                response.headers.update(self._access.cors())
            return response

        return answer


async def sdp_body(request: web.Request, kind: str) -> bytes:
    """Never more than is needed to see that it is too much. Raises OfferRefused (413 or 415)."""
    if request.content_length is not None and request.content_length > MAX_BYTES:
        raise OfferRefused(413, f"the body is larger than {MAX_BYTES // 1024} KB")
    if request.can_read_body and request.content_type not in (kind, "application/octet-stream", "text/plain"):
        raise OfferRefused(415, f"send Content-Type: {kind}")
    body = b""
    async for chunk in request.content.iter_chunked(65536):
        body += chunk
        if len(body) > MAX_BYTES:
            raise OfferRefused(413, f"the body is larger than {MAX_BYTES // 1024} KB")
    return body


def created(location: str, answer: str) -> web.Response:
    headers = {"Location": location, "Accept-Patch": "application/trickle-ice-sdpfrag"}
    return web.Response(status=201, body=answer.encode(), content_type="application/sdp", headers=headers)


def refusal(status: int, words: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "10"
    return web.json_response({"error": {"message": words}}, status=status, headers=headers)


def make_page(path: Path) -> Handler:
    """A static page that may run and look like what is in it, and nothing else. The same for every processor, known or not."""
    text = path.read_text()
    script, style = (
        " ".join(f"'sha256-{_digest(part)}'" for part in re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL))
        for tag in ("script", "style")
    )
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html", headers=headers)

    return page


def _digest(part: str) -> str:
    return base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()

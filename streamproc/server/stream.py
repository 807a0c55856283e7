"""``GET /api/stream``: events as they become durable, and how processors, jobs and the node stand, as server-sent events.

The format is that of the HTML standard, section "Server-sent events"; a client goes on with ``Last-Event-ID`` where it was cut off.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from aiohttp import web

from streamproc.core.errors import InputError, LimitExceeded
from streamproc.server.feed import Feed, Viewer, message
from streamproc.threads import HISTORY
from streamproc.web.answers import answered, failure, known_keys, may
from streamproc.web.guard import Guard

COMMENT_EVERY_S = 15.0
"""Proxies close a connection over which nothing comes, often after 30 or 60 s."""
SEND_TIMEOUT_S = 30.0
RETRY_MS = 2000
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Stream:
    """Handler over one feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def mount(self, app: web.Application, guard: Guard) -> None:
        app.router.add_get("/api/stream", answered(guard, self.stream), allow_head=False)

    async def stream(self, request: web.Request) -> Any:
        """``?after=``: a sequence (``latest`` of a page of events) to begin behind; a browser cannot set a header when it begins."""
        begin = position_of(request)
        try:
            viewer = await self._feed.join(faces=may(request, "review"))
        except LimitExceeded as error:
            answer = failure(503, "LimitExceeded", str(error))
            answer.headers["Retry-After"] = "10"
            return answer
        response = web.StreamResponse(headers=HEADERS)
        try:
            await response.prepare(request)
            await Session(self._feed, viewer, response).run(begin)
        except (ConnectionError, TimeoutError):
            pass  # the viewer is gone, or takes nothing any more
        finally:
            self._feed.leave(viewer)
        return response


class Session:
    """One viewer's stream, from its beginning to its end."""

    def __init__(self, feed: Feed, viewer: Viewer, response: web.StreamResponse) -> None:
        self._feed = feed
        self._viewer = viewer
        self._response = response
        self._comment_at = time.monotonic() + COMMENT_EVERY_S

    async def run(self, begin: int | None) -> None:
        """Until the viewer or the daemon goes. ``begin``: the last sequence that the viewer has; None: it wants only what is new."""
        latest = await HISTORY.run(self._feed.history.latest)
        pruned = await HISTORY.run(self._feed.history.pruned)
        sent = latest if begin is None or begin > latest else begin
        place = f"id: {sent}\n" if begin != sent else ""
        await self._write(f"retry: {RETRY_MS}\n{place}\n".encode())
        if begin is not None and (begin > latest or begin < pruned):
            reason = (
                "what came after the last event you have is not kept"
                if begin < pruned
                else "that is no place in this history"
            )
            await self._write(message("resync", {"reason": reason}))
        await self._standing()
        while not self._feed.closing:
            self._viewer.wake.clear()
            if self._viewer.overrun:
                self._viewer.overrun = False
                await self._write(message("resync", {"reason": "too slow: some changes of state were not sent"}))
                await self._standing()
            words = self._viewer.take()
            news = await self._feed.after(sent)
            for each in news:
                if self._viewer.faces or not each.of_face:
                    words.append(each.words if self._viewer.faces else each.nameless)
                sent = each.seq
            if words:
                await self._write(b"".join(words))
            if not news and not self._viewer.pending:
                await self._wait()
            if time.monotonic() >= self._comment_at:
                await self._write(b": still here\n\n")
                self._comment_at = time.monotonic() + COMMENT_EVERY_S

    async def _standing(self) -> None:
        await self._write(b"".join(await self._feed.standing(self._viewer)))

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._comment_at - time.monotonic())):
                await self._viewer.wake.wait()

    async def _write(self, words: bytes) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._response.write(words)


def position_of(request: web.Request) -> int | None:
    """Where to go on: ``Last-Event-ID``, else ``after``. Raises InputError where it is no number."""
    known_keys(request.query, ("after",))
    for name, given in (("Last-Event-ID", request.headers.get("Last-Event-ID")), ("after", request.query.get("after"))):
        if given:
            if not given.isascii() or not given.isdigit() or len(given) > 18:
                raise InputError(
                    f"{name}: {given[:40]!r} is no number; give the id of an event of this stream, or latest of a page"
                )
            return int(given)
    return None

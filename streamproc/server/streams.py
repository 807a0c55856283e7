"""The node's video streams over the control API: what is there, fragments by time, and clips. docs/control-api.md describes it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from streamproc.core.errors import LimitExceeded, NotFound
from streamproc.kinesis.archive import CLIP_BYTES, CLIP_FRAGMENTS
from streamproc.kinesis.catalog import StreamCatalog, fragment_document
from streamproc.kinesis.chunks import CONTENT_TYPE
from streamproc.kinesis.clip import clip_bytes
from streamproc.kinesis.log import VideoLog
from streamproc.kinesis.store import Entry
from streamproc.logic.clips import ClipRange, clip_between
from streamproc.threads import ARCHIVE
from streamproc.web.answers import answered, known_keys
from streamproc.web.guard import Guard

_READ_S = 30.0


class Streams:
    """Handlers over the node's streams."""

    def __init__(self, video: VideoLog) -> None:
        self._video = video
        self._catalog = StreamCatalog(video.streams, video.index)
        self._working = asyncio.Semaphore(2)

    def mount(self, app: web.Application, guard: Guard) -> None:
        routes = (
            ("GET", "/api/streams", self.list_all),
            ("GET", "/api/streams/{name}", self.describe),
            ("DELETE", "/api/streams/{name}", self.delete),
            ("GET", "/api/streams/{name}/fragments", self.fragments),
            ("GET", "/api/streams/{name}/fragments/{number}", self.fragment),
            ("GET", "/api/streams/{name}/clip", self.clip),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, answered(guard, handler))

    async def list_all(self, request: web.Request) -> Any:
        return await ARCHIVE.run(self._catalog.documents)

    async def describe(self, request: web.Request) -> Any:
        return await ARCHIVE.run(self._catalog.document, request.match_info["name"])

    async def delete(self, request: web.Request) -> Any:
        name = request.match_info["name"]
        await self._video.delete(await ARCHIVE.run(self._video.streams.get, name), None)
        await self._video.told()
        return {"name": name, "deleted": True}

    async def fragments(self, request: web.Request) -> Any:
        """Fragments that hold something of ``from`` to ``to``."""
        return [fragment_document(entry.info) for entry in await self._chosen(request)]

    async def fragment(self, request: web.Request) -> web.Response:
        """One fragment, a Matroska file of its own."""
        name, number = request.match_info["name"], request.match_info["number"]
        entry = await ARCHIVE.run(self._catalog.entry, name, number)
        data = await self._read(entry)
        if data is None:
            raise NotFound(f"{name} has no fragment {number} any more")
        return web.Response(body=data, content_type=CONTENT_TYPE)

    async def clip(self, request: web.Request) -> web.Response:
        """An MP4 of the fragments that hold something of ``from`` to ``to``, packets as they came."""
        entries = await self._chosen(request)
        if len(entries) > CLIP_FRAGMENTS or sum(entry.info.size for entry in entries) > CLIP_BYTES:
            raise LimitExceeded(
                f"more than {CLIP_FRAGMENTS} fragments or {CLIP_BYTES} bytes; ask for less time at once"
            )
        async with self._working:
            with self._video.index.holding(entries):
                read = [(entry.info, await self._read(entry)) for entry in entries]
            parts = [(info, data) for info, data in read if data is not None]
            if not parts:
                raise NotFound(f"{request.match_info['name']} has no video of that time")
            return web.Response(body=await ARCHIVE.run(clip_bytes, parts), content_type="video/mp4")

    async def _chosen(self, request: web.Request) -> list[Entry]:
        clip = _asked(request)
        return await ARCHIVE.run(self._catalog.overlapping, clip.stream, clip.begins_ms, clip.ends_ms)

    async def _read(self, entry: Entry) -> bytes | None:
        return await self._video.read(entry, time.monotonic() + _READ_S)


def _asked(request: web.Request) -> ClipRange:
    known_keys(request.query, ("from", "to"))
    # A plus that nobody escaped has become a blank.
    times = [request.query.get(key, "").replace(" ", "+") or None for key in ("from", "to")]
    return clip_between(request.match_info["name"], *times)

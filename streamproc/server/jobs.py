"""Stored-video jobs over HTTP: a video comes as a path, a URL or an upload; its analyses share one decode. docs/control-api.md describes it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from streamproc.aws.video_documents import whole
from streamproc.config.node import Limits
from streamproc.core.errors import InputError, NotFound
from streamproc.jobs.attended import STUCK
from streamproc.jobs.documents import job_document
from streamproc.jobs.model import Job, JobKind, JobRequest, VideoRef
from streamproc.jobs.service import JobService, VideoTooLarge
from streamproc.jobs.sources import InvalidObject
from streamproc.logic.redact import redact_url
from streamproc.store.database import Database
from streamproc.threads import FOLDERS, JOBS, StillBusy
from streamproc.web.answers import answered, known_keys, may
from streamproc.web.guard import Guard, Refused
from streamproc.web.json_body import json_object

UPLOAD = "upload:"
ELSEWHERE = ("s3://", "http://", "https://", UPLOAD)
"""What is no path on the node."""
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._\-]+")
_UPLOAD = re.compile(r"upload:([0-9a-f]{32})/([A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99})")
KINDS = tuple(str(kind) for kind in JobKind)


class JobRoutes:
    """Handlers over the jobs of one data directory. Uploaded videos lie in ``DATA_DIR/uploads/ID/NAME`` as long as a job of theirs is kept."""

    def __init__(
        self, jobs: JobService, database: Database, limits: Limits, collection: Callable[[str], object]
    ) -> None:
        """``collection``: raises NotFound where there is no such collection."""
        self._jobs = jobs
        self._collection = collection
        self._database = database
        self._limits = limits
        self._folder = database.data_dir / "uploads"

    def mount(self, app: web.Application, guard: Guard) -> None:
        routes = (
            ("GET", "/api/jobs", self.all),
            ("POST", "/api/jobs", self.start),
            ("POST", "/api/jobs/uploads", self.upload),
            ("GET", "/api/jobs/{id}", self.show),
            ("GET", "/api/jobs/{id}/result", self.result),
            ("GET", "/api/jobs/{id}/video", self.video),
            ("POST", "/api/jobs/{id}/cancel", self.cancel),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, answered(guard, handler))

    async def all(self, request: web.Request) -> Any:
        """Newest first; the last seven days."""
        return {"jobs": [self._document(job) for job in await JOBS.run(self._jobs.jobs)]}

    async def snapshot(self) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        """For the stream: jobs that are open, and the last ones that ended."""
        jobs = await JOBS.run(self._jobs.jobs)
        shown = [job for job in jobs if job.state.open] + [job for job in jobs if not job.state.open][:20]
        return {("job", job.id): self._document(job) for job in shown}

    async def start(self, request: web.Request) -> Any:
        """``{"video": PATH, URL or an upload's, "analyses": [KIND...], "collection":, "options": {KIND: {...}}, "tag":}``."""
        body = await json_object(request)
        known_keys(body, ("video", "analyses", "collection", "options", "tag"))
        requests = self._requests(body)
        if not body["video"].startswith(ELSEWHERE) and not may(request, "control"):
            raise Refused(403, "video: only who may control may name a path on the node; upload the video")

        size = await self._size(requests[0].video)

        def start_all() -> list[Job]:
            if body.get("collection"):
                self._collection(body["collection"])
            return self._jobs.start_together(requests, size=size)

        return {"jobs": [self._document(job) for job in await JOBS.run(start_all)]}

    async def _size(self, video: VideoRef) -> int:
        """Asked for outside of transactions, in a thread of the place's own: it may be a dead network share. Raises InvalidObject."""
        path = Path(video.url)
        if video.url.startswith(ELSEWHERE) or self._folder in path.parents:
            return await JOBS.run(self._jobs.size, video)
        try:
            return await FOLDERS.run(str(Path(*path.parts[:3])), self._jobs.size, video)
        except StillBusy:
            raise InvalidObject(f"video: {STUCK}") from None

    async def upload(self, request: web.Request) -> Any:
        """The video's bytes as the body, ``?name=`` its file name; ``video`` of the answer is what ``start`` takes."""
        known_keys(request.query, ("name",))
        name = _SAFE_NAME.sub("_", request.query.get("name", "video")).lstrip(".")[-100:] or "video"
        most = self._limits.max_video_bytes
        if (request.content_length or 0) > most:
            raise VideoTooLarge(f"the video is larger than {most} bytes (limits.max_video_bytes)")
        identity = secrets.token_hex(16)
        folder = self._folder / identity
        await JOBS.run(folder.mkdir, 0o700, True)
        path = folder / name
        try:
            size = await _receive(request, path, most)
            if size == 0:
                raise InputError("the body is empty; send the video's bytes")
        except BaseException:
            await JOBS.run(_remove, folder)
            raise
        return {"video": f"{UPLOAD}{identity}/{name}", "bytes": size}

    async def show(self, request: web.Request) -> Any:
        return self._document(await JOBS.run(self._jobs.show, request.match_info["id"]))

    async def result(self, request: web.Request) -> Any:
        """The whole answer of the job's Get operation, all pages joined; without items until it has succeeded."""
        job = await JOBS.run(self._jobs.show, request.match_info["id"])
        return await JOBS.run(whole, self._jobs, job)

    async def video(self, request: web.Request) -> web.StreamResponse:
        """An uploaded video's bytes, by ranges; videos from elsewhere are not passed on."""
        job = await JOBS.run(self._jobs.show, request.match_info["id"])
        path = Path(job.request.video.url)
        if self._folder not in path.parents or not await JOBS.run(path.is_file):
            raise NotFound("only uploaded videos can be watched here")
        return web.FileResponse(
            path, headers={"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
        )

    async def cancel(self, request: web.Request) -> Any:
        return self._document(await JOBS.run(self._jobs.cancel, request.match_info["id"]))

    async def tidy(self) -> int:
        """Remove uploads of which no job is kept; returns how many. When the daemon starts."""

        def remove() -> int:
            used = {Path(job.request.video.url).parent for job in self._jobs.jobs()}
            old = [folder for folder in self._folder.glob("*") if folder not in used]
            for folder in old:
                _remove(folder)
            return len(old)

        return await JOBS.run(remove)

    def _requests(self, body: dict[str, Any]) -> list[JobRequest]:
        video, kinds, options = body.get("video"), body.get("analyses"), body.get("options", {})
        if not isinstance(video, str) or not video:
            raise InputError(
                "video: missing; give a path on the node, an s3:// or http(s) URL, or what an upload answered"
            )
        if not isinstance(kinds, list) or not kinds or any(kind not in KINDS for kind in kinds):
            raise InputError(f"analyses: give a list of {', '.join(KINDS)}")
        if not isinstance(options, dict) or any(
            kind not in kinds or not isinstance(options[kind], dict) for kind in options
        ):
            raise InputError("options: give an object of options for each of the analyses")
        tag, collection = body.get("tag"), body.get("collection")
        if any(value is not None and not isinstance(value, str) for value in (tag, collection)):
            raise InputError("tag, collection: give text")
        if JobKind.FACE_SEARCH in kinds and not collection:
            raise InputError("collection: missing; face-search needs the name of a collection")
        ref = VideoRef(self._located(video))
        chosen = {kind: dict(options.get(kind, {})) for kind in dict.fromkeys(kinds)}
        if JobKind.FACE_SEARCH in chosen:
            chosen[str(JobKind.FACE_SEARCH)]["collection"] = collection
        return [JobRequest(JobKind(kind), ref, chosen[kind], tag=tag) for kind in chosen]

    def _located(self, video: str) -> str:
        if not video.startswith(UPLOAD):
            return video
        found = _UPLOAD.fullmatch(video)
        path = self._folder / found[1] / found[2] if found else None
        if path is None or not path.is_file():
            raise InputError("video: there is no such upload; send it again")
        return str(path)

    def _document(self, job: Job) -> dict[str, Any]:
        """``upload``: whether its bytes can be watched here."""
        path = Path(job.request.video.url)
        uploaded = self._folder in path.parents
        shown = f"{UPLOAD}{path.parent.name}/{path.name}" if uploaded else redact_url(job.request.video.url)
        return job_document(job) | {"video": shown, "upload": uploaded}


async def _receive(request: web.Request, path: Path, most: int) -> int:
    """Write the body to a file; its size. Raises VideoTooLarge."""
    size = 0
    file = await JOBS.run(path.open, "xb")
    try:
        async for chunk in request.content.iter_chunked(1 << 20):
            size += len(chunk)
            if size > most:
                raise VideoTooLarge(f"the video is larger than {most} bytes (limits.max_video_bytes)")
            await JOBS.run(file.write, chunk)
    finally:
        await JOBS.run(file.close)
    return size


def _remove(folder: Path) -> None:
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    folder.rmdir()

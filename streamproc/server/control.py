"""The control API: processors as JSON, for the command line and for scripts. docs/control-api.md describes it."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from streamproc.config.duration import parse_duration
from streamproc.config.faults import faults_of
from streamproc.config.load import check_name
from streamproc.config.processor import ProcessorConfig
from streamproc.config.yaml_file import Document
from streamproc.core.errors import ConfigError, Fault, InputError, InUse
from streamproc.core.start import StartRequest
from streamproc.live.remote import made_override, put_override, want
from streamproc.live.supervisor import Supervisor
from streamproc.logic.event_query import FACES
from streamproc.logic.nameless import nameless
from streamproc.plain import plain_document
from streamproc.web.answers import answered, known_keys, may
from streamproc.web.guard import Guard
from streamproc.web.json_body import json_object

LONGEST_S = 366 * 86_400
"""Of a session that a request bounds."""
ACTIVE = ("starting", "running", "stopping")


class Control:
    """Handlers over one supervisor."""

    def __init__(self, supervisor: Supervisor, guard: Guard) -> None:
        self._supervisor = supervisor
        self._guard = guard

    def mount(self, app: web.Application) -> None:
        routes = (
            ("GET", "/api/processors", self.list_all),
            ("POST", "/api/processors", self.create),
            ("GET", "/api/processors/{name}", self.describe),
            ("PUT", "/api/processors/{name}", self.update),
            ("DELETE", "/api/processors/{name}", self.delete),
            ("POST", "/api/processors/{name}/start", self.start),
            ("POST", "/api/processors/{name}/stop", self.stop),
            ("GET", "/api/processors/{name}/events", self.events),
            ("PUT", "/api/processors/{name}/override", self.override),
            ("DELETE", "/api/processors/{name}/override", self.take_back),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, answered(self._guard, handler))

    async def list_all(self, request: web.Request) -> Any:
        return [_shown(request, view.to_json(brief=True)) for view in await self._supervisor.views()]

    async def describe(self, request: web.Request) -> Any:
        return _shown(request, (await self._supervisor.view(request.match_info["name"])).to_json())

    async def create(self, request: web.Request) -> Any:
        """``{"name":, "config": {...}}``; started when its document says ``state: running``."""
        body = await json_object(request)
        name = body.get("name")
        if not isinstance(name, str):
            raise InputError("name: missing; give the processor a name")
        check_name(name, "request")
        config = _config(body.get("config"))
        await self._supervisor.create(name, config)
        if config.state == "running" and self._supervisor.ownership.elsewhere(name) is not None:
            want(self._supervisor, name, "running")  # the node that is to run it starts it
        elif config.state == "running":
            await self._supervisor.start(name)
        return (await self._supervisor.view(name)).to_json()

    async def update(self, request: web.Request) -> Any:
        """``{"config": {...}}``: applied with the least disturbance."""
        name = request.match_info["name"]
        config = _config((await json_object(request)).get("config"))
        return (await self._supervisor.update(name, config)).to_json()

    async def start(self, request: web.Request) -> Any:
        """``{"at":, "duration_s":}``, both optional."""
        name, body = request.match_info["name"], await json_object(request)
        known_keys(body, ("at", "duration_s"))
        duration = body.get("duration_s")
        if duration is not None and (
            not isinstance(duration, int | float) or isinstance(duration, bool) or not 0 < duration <= LONGEST_S
        ):
            raise InputError(f"duration_s: give a number of seconds above 0, at most {LONGEST_S:,}")
        at = body.get("at")
        if at is not None and not isinstance(at, dict):
            raise InputError('at: give {"fragment": "12"} or {"timestamp": SECONDS}')
        session = await self._supervisor.start(name, StartRequest(at, duration))
        return (await self._supervisor.view(name)).to_json() | {"session_id": session}

    async def stop(self, request: web.Request) -> Any:
        name = request.match_info["name"]
        await self._supervisor.stop(name)
        return (await self._supervisor.view(name)).to_json()

    async def delete(self, request: web.Request) -> Any:
        """Stops it first. A config file's processor is deleted by removing its file."""
        name = request.match_info["name"]
        view = await self._supervisor.view(name)
        if view.origin == "file":
            raise InUse(f"{name} belongs to a config file; remove the file instead")
        if view.state in ACTIVE:
            await self._supervisor.stop(name)
        await self._supervisor.delete(name)
        return {"name": name, "deleted": True}

    async def override(self, request: web.Request) -> Any:
        """``{"mode": "home|away|pause", "for": "1h"}``; ``for`` may be left out."""
        name, body = request.match_info["name"], await json_object(request)
        known_keys(body, ("mode", "for"))
        try:
            seconds = parse_duration(body["for"]) if body.get("for") is not None else None
        except ValueError as error:
            raise InputError(f"for: {error}") from None
        if not isinstance(body.get("mode"), str):
            raise InputError("mode: missing; give home, away or pause")
        await put_override(self._supervisor, name, made_override(body["mode"], seconds))
        return (await self._supervisor.view(name)).to_json()

    async def take_back(self, request: web.Request) -> Any:
        """The schedule rules again."""
        name = request.match_info["name"]
        await put_override(self._supervisor, name, None)
        return (await self._supervisor.view(name)).to_json()

    async def events(self, request: web.Request) -> Any:
        """The latest events, newest first; ``?limit=`` up to 1000."""
        name = request.match_info["name"]
        await self._supervisor.view(name)
        try:
            limit = min(1000, max(1, int(request.query.get("limit", "50"))))
        except ValueError:
            raise InputError("limit: give a number from 1 to 1000") from None
        found = self._supervisor.journal.recent(name, limit)
        seen = [event for event in found if may(request, "review") or event.type.value not in FACES]
        return [_shown(request, plain_document(event, self._supervisor.outputs.images_of(event))) for event in seen]


def _shown(request: web.Request, document: dict[str, Any]) -> dict[str, Any]:
    """Who was seen is for those who may review."""
    return document if may(request, "review") else nameless(document)


def _config(value: Any) -> ProcessorConfig:
    if not isinstance(value, dict):
        raise InputError("config: missing; send the processor's document")
    try:
        return ProcessorConfig.model_validate(value)
    except ValidationError as error:
        raise ConfigError(
            "config", [Fault(f.field, f.message) for f in faults_of(error, Document("config", value, {}))]
        ) from None

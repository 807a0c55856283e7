"""``/api/processors/NAME/regions/replay``: what the camera's recording would have led to with other regions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from streamproc.config.duration import parse_duration
from streamproc.console.regions import changed_config, entry_of, regions_of
from streamproc.core.errors import InputError
from streamproc.core.media import rfc3339
from streamproc.live.recording_replay import RecordingReplay, RecordingReplays
from streamproc.live.supervisor import Supervisor
from streamproc.logic.event_query import FACES
from streamproc.logic.nameless import nameless
from streamproc.web.answers import answered, known_keys, may
from streamproc.web.guard import Guard
from streamproc.web.json_body import json_object

DEFAULT_S = 600.0
MOST_S = 86_400.0


class RecordingReplayRoutes:
    """Handlers over a node's replays; ``replays``: None where nothing is recorded here."""

    def __init__(self, supervisor: Supervisor, guard: Guard, replays: RecordingReplays | None) -> None:
        self._supervisor = supervisor
        self._guard = guard
        self._replays = replays

    def mount(self, app: web.Application) -> None:
        path = "/api/processors/{name}/regions/replay"
        app.router.add_get(path, answered(self._guard, self.show))
        app.router.add_post(path, answered(self._guard, self.begin))
        app.router.add_delete(path, answered(self._guard, self.cancel))

    async def show(self, request: web.Request) -> Any:
        """``{"recording": {"from":, "to":} or null, "busy": the processor whose replay goes on, "replay": the last one or null}``."""
        name = request.match_info["name"]
        await self._supervisor.view(name)
        replays = self._replays
        if replays is None:
            return {"recording": None, "busy": None, "replay": None}
        span, last, going = await replays.video.span(name), replays.last(name), replays.going
        return {
            "recording": None if span is None else {"from": _instant(span[0]), "to": _instant(span[1])},
            "busy": None if going is None else going.processor,
            "replay": None if last is None else document(last, faces=may(request, "review")),
        }

    async def begin(self, request: web.Request) -> Any:
        """``{"regions": [...], "for": "10m"}``: of the newest so much."""
        name, body = request.match_info["name"], await json_object(request)
        known_keys(body, ("regions", "for"))
        view = await self._supervisor.view(name)
        regions = [entry_of(region) for region in regions_of(body.get("regions"))]
        seconds = seconds_of(body.get("for"))
        if self._replays is None:
            raise InputError("this node keeps no recordings")
        after = changed_config(view.config, {"regions": regions})
        await self._replays.begin(name, view.config, after, seconds)
        return await self.show(request)

    async def cancel(self, request: web.Request) -> Any:
        if self._replays is not None:
            await self._replays.cancel(request.match_info["name"])
        return await self.show(request)


def seconds_of(given: Any) -> float:
    """How much of the recording. Raises InputError."""
    try:
        seconds = DEFAULT_S if given is None else parse_duration(given)
    except ValueError as error:
        raise InputError(f"for: {error}") from None
    if not 1 <= seconds <= MOST_S:
        raise InputError("for: from 1s to 24h")
    return seconds


def document(replay: RecordingReplay, *, faces: bool) -> dict[str, Any]:
    """``faces``: with what tells who was seen."""
    found = replay.found
    return {
        "state": replay.state.value,
        "progress": round(replay.progress, 3),
        "from": _instant(replay.begins_ms),
        "to": _instant(replay.ends_ms),
        "began": rfc3339(replay.began),
        "ended": rfc3339(replay.ended) if replay.ended is not None else None,
        "message": replay.message,
        "found": found if found is None or faces else _without_faces(found),
    }


def _without_faces(found: Mapping[str, Any]) -> dict[str, Any]:
    def fine(event: Mapping[str, Any]) -> bool:
        return event["type"] not in FACES

    lists = {key: [nameless(event) for event in found[key] if fine(event)] for key in ("appears", "vanishes")}
    moves = [{side: nameless(move[side]) for side in move} for move in found["moves"] if fine(move["after"])]
    return {"same": found["same"], **lists, "moves": moves}


def _instant(milliseconds: int) -> str:
    return rfc3339(datetime.fromtimestamp(milliseconds / 1000, UTC))

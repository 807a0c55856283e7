"""The history over HTTP: events of all processors by what they are about and when, and their pictures. docs/control-api.md describes it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web

from streamproc.contracts import Images
from streamproc.core.errors import InputError, NotFound
from streamproc.core.event import EventType
from streamproc.core.media import rfc3339
from streamproc.live.stills import MAX_WIDTH, WIDTHS, Stills
from streamproc.live.supervisor import Supervisor
from streamproc.logic.event_query import FACES, EventQuery, parse_instant
from streamproc.logic.nameless import nameless
from streamproc.plain import plain_document
from streamproc.store.history import Kept
from streamproc.threads import HISTORY, PICTURES
from streamproc.web.answers import answered, known_keys, may, picture
from streamproc.web.guard import Guard

PARAMETERS = ("processor", "type", "class", "person", "region", "from", "to", "text", "before", "limit")
TYPES = tuple(kind.value for kind in EventType if kind is not EventType.FACE_RECORD)
MAX_PAGE = 1000
MAX_TEXT = 200
FOR_GOOD = "private, max-age=86400, immutable"
"""A picture of an event never changes."""


class Events:
    """Handlers over one journal."""

    def __init__(self, supervisor: Supervisor, stills: Stills) -> None:
        self._supervisor = supervisor
        self._history = supervisor.journal.history
        self._stills = stills

    def mount(self, app: web.Application, guard: Guard) -> None:
        routes = (
            ("/api/events", self.page),
            ("/api/events/values", self.values),
            ("/api/events/{id}", self.event),
            ("/api/events/{id}/{part:frame|crop}.jpg", self.picture),
            ("/api/processors/{name}/still.jpg", self.still),
        )
        for path, handler in routes:
            app.router.add_get(path, answered(guard, handler))

    async def page(self, request: web.Request) -> Any:
        """A page, newest first; ``next`` is the ``before`` of the one that follows."""
        query, before, limit = read_page(request)
        found = await HISTORY.run(self._history.page, query, before, limit)
        return {
            "events": [event_document(kept, query.faces) for kept in found.kept],
            "next": None if found.next is None else str(found.next),
            "latest": str(found.latest),
        }

    async def values(self, request: web.Request) -> Any:
        """What the filters of a page can be set to."""
        kinds = await HISTORY.run(self._history.kinds)
        names = {"processor": "processor", "type": "type", "class": "label", "person": "person", "region": "region"}
        seen = [kind for kind in kinds if kind.type not in FACES or may(request, "review")]
        return {key: sorted({getattr(kind, name) for kind in seen} - {""}) for key, name in names.items()}

    async def event(self, request: web.Request) -> Any:
        """One event in plain form, with how its ``deliveries`` stand."""
        kept = await self._kept(request)
        states = await HISTORY.run(self._history.deliveries, kept.seq)
        changed = [{"changed": rfc3339(datetime.fromtimestamp(state.changed, UTC))} for state in states]
        deliveries = [asdict(state) | at for state, at in zip(states, changed, strict=True)]
        return event_document(kept, may(request, "review")) | {"deliveries": deliveries}

    async def picture(self, request: web.Request) -> web.Response:
        kept = await self._kept(request)
        event, spool = kept.event, self._supervisor.journal.spool
        found = await PICTURES.run(spool.read, event.session, event.id) if event.has_pictures else None
        if found is None:
            raise NotFound("the event has no picture" if not event.has_pictures else "the picture is not kept any more")
        return picture(found.crop if request.match_info["part"] == "crop" else found.frame, FOR_GOOD)

    async def still(self, request: web.Request) -> web.Response:
        """The picture that was analysed last, ``?width=640`` for a small one; 304 for who has it already."""
        name, width = request.match_info["name"], request.query.get("width", str(MAX_WIDTH))
        if width not in map(str, WIDTHS):
            raise InputError(f"width: give one of {', '.join(map(str, WIDTHS))}")
        await self._supervisor.view(name)
        found = await PICTURES.run(self._stills.get, name, int(width))
        if found is None:
            raise NotFound(f"no picture of {name} has been analysed yet")
        time, tag = rfc3339(found.at), f"{found.at.timestamp():.6f}"
        had = request.if_none_match or ()
        if any(each.value == tag for each in had):
            return web.Response(status=304, headers={"ETag": f'"{tag}"', "X-Frame-Time": time})
        answer = picture(found.jpeg, "no-cache")
        answer.etag = tag
        answer.headers["X-Frame-Time"] = time
        answer.last_modified = found.at
        return answer

    async def _kept(self, request: web.Request) -> Kept:
        kept = await HISTORY.run(self._history.get, request.match_info["id"])
        if kept is None or (kept.event.type.value.startswith("face_") and not may(request, "review")):
            raise NotFound(f"no event {request.match_info['id']!r} is kept")
        return kept


def event_document(kept: Kept, people: bool = True) -> dict[str, Any]:
    """The plain form; ``frame`` and ``crop`` are paths on this server, null where the picture is not kept. ``people``: with their names."""
    place = f"/api/events/{quote(kept.event.id, safe='')}"
    images = Images(f"{place}/frame.jpg", f"{place}/crop.jpg") if kept.pictures else Images(None, None)
    document = plain_document(kept.event, images)
    return document if people else nameless(document)


def read_page(request: web.Request) -> tuple[EventQuery, int | None, int]:
    """Filter, ``before`` and ``limit`` of a request's parameters. Raises InputError that names the parameter."""
    known_keys(request.query, PARAMETERS)
    before, limit = request.query.get("before"), _number(request, "limit", 50)
    if not 1 <= limit <= MAX_PAGE:
        raise InputError(f"limit: give a number from 1 to {MAX_PAGE}")
    return read_query(request), None if not before else _number(request, "before", 0), limit


def read_query(request: web.Request) -> EventQuery:
    """The filter of a request's parameters; each but ``from``, ``to`` and ``text`` may be given several times."""

    def every(name: str) -> tuple[str, ...]:
        return tuple(value for value in request.query.getall(name, ()) if value)

    types, text = every("type"), request.query.get("text", "")
    wrong = next((value for value in types if value not in TYPES), None)
    if wrong is not None:
        raise InputError(f"type: {wrong!r} is no type of event; use {', '.join(TYPES)}")
    if len(text) > MAX_TEXT:
        raise InputError(f"text: at most {MAX_TEXT} characters")
    return EventQuery(
        processors=every("processor"),
        types=types,
        labels=tuple(value.upper() for value in every("class")),
        persons=every("person"),
        regions=every("region"),
        since=_instant(request, "from"),
        until=_instant(request, "to"),
        text=text,
        faces=may(request, "review"),
    )


def _instant(request: web.Request, name: str) -> datetime | None:
    given = request.query.get(name)
    if not given:
        return None
    try:
        # An unescaped "+02:00" arrives as a space.
        return parse_instant(given.replace(" ", "+") if given[10:11] != " " else given)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _number(request: web.Request, name: str, otherwise: int) -> int:
    given = request.query.get(name)
    if not given:
        return otherwise
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise InputError(f"{name}: {given!r} is no number; give {'what next was' if name == 'before' else 'one'}")
    return int(given)

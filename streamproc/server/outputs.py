"""The outputs of all processors over HTTP: what waits, what was refused, and a try. docs/control-api.md describes it."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, cast, get_args

from aiohttp import web

from streamproc.core.errors import InputError, NotFound, SinkError
from streamproc.core.event import Event, EventType
from streamproc.core.media import Moment, rfc3339
from streamproc.core.vision import Box
from streamproc.live.supervisor import Supervisor
from streamproc.logic.event_query import FACES
from streamproc.logic.nameless import nameless
from streamproc.plain import plain_document
from streamproc.store.deliveries import DeliveryStore, OutputStanding, PendingDelivery, Selection, State
from streamproc.threads import DELIVERIES
from streamproc.web.answers import answered, known_keys, may
from streamproc.web.guard import Guard
from streamproc.web.json_body import json_object

STATES = get_args(State)
MAX_LISTED = 1000


class OutputRoutes:
    """Handlers over one node's outputs. An output is addressed by its key, PROCESSOR/NAME."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._store = DeliveryStore(supervisor.journal)

    def mount(self, app: web.Application, guard: Guard) -> None:
        place = "/api/outputs/{processor}/{name}"
        routes = (
            ("GET", "/api/outputs", self.all),
            ("GET", f"{place}/deliveries", self.deliveries),
            ("POST", f"{place}/retry", self.retry),
            ("POST", f"{place}/drop", self.drop),
            ("POST", f"{place}/test", self.test),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, answered(guard, handler))

    async def all(self, request: web.Request) -> Any:
        """Every output, also one that is gone and that something is still owed to (``type`` null)."""
        standing = await DELIVERIES.run(self._store.standing)
        types = self._supervisor.outputs.types()
        return {"outputs": [_row(key, types.get(key), standing.get(key)) for key in sorted(types.keys() | standing)]}

    async def deliveries(self, request: web.Request) -> Any:
        """``?state=dead`` (or ``waiting``, ``delivered``), ``&limit=``: oldest first."""
        known_keys(request.query, ("state", "limit"))
        state, limit = request.query.get("state", "dead"), request.query.get("limit", "100")
        if state not in STATES:
            raise InputError(f"state: {state!r}; use {', '.join(STATES)}")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= MAX_LISTED:
            raise InputError(f"limit: give a number from 1 to {MAX_LISTED}")
        selection = Selection(cast("State", state), self._key(request))
        found = await DELIVERIES.run(self._store.select, selection, int(limit))
        seen = [item for item in found if may(request, "review") or item.event.type.value not in FACES]
        return {"deliveries": [_delivery(item, may(request, "review")) for item in seen]}

    async def retry(self, request: web.Request) -> Any:
        """``{"event": ID}``, or ``{}`` for all that were refused: they wait again."""
        selection = await self._selection(request)
        return {"deliveries": await DELIVERIES.run(self._store.retry, selection)}

    async def drop(self, request: web.Request) -> Any:
        """``{"event": ID}``, or ``{"all": true}``: forget what was not delivered."""
        selection = await self._selection(request, "all")
        return {"deliveries": await DELIVERIES.run(self._store.drop, selection)}

    async def test(self, request: web.Request) -> Any:
        """Send a made event at once, past the journal; ``{"delivered":, "ms":, "error":}``."""
        key = self._key(request)
        began = time.monotonic()
        error: str | None = None
        try:
            await self._supervisor.outputs.try_out(key, made_event(request.match_info["processor"], datetime.now(UTC)))
        except SinkError as refused:
            error = str(refused) or type(refused).__name__
        except TimeoutError:
            error = "no answer in time"
        return {"delivered": error is None, "ms": round((time.monotonic() - began) * 1000), "error": error}

    async def _selection(self, request: web.Request, confirmation: str | None = None) -> Selection:
        body = await json_object(request)
        known_keys(body, ("event", confirmation) if confirmation else ("event",))
        event = body.get("event")
        if event is not None and not isinstance(event, str):
            raise InputError("event: give an event's id")
        if confirmation and event is None and body.get(confirmation) is not True:
            raise InputError('event: missing; give an event\'s id, or {"all": true}')
        selection = Selection(output=self._key(request), event=event)
        if event is not None and not await DELIVERIES.run(self._store.select, selection, 1):
            raise NotFound(f"no delivery of event {event} to {selection.output} is kept")
        return selection

    @staticmethod
    def _key(request: web.Request) -> str:
        return f"{request.match_info['processor']}/{request.match_info['name']}"


def made_event(processor: str, now: datetime) -> Event:
    """A detection that says of itself that it is a test; its session is its own, so it takes no other's place."""
    return Event(
        EventType.LABEL_DETECTED,
        processor,
        f"test-{secrets.token_hex(8)}",
        0,
        Moment(Fraction(0), now),
        label="PERSON",
        confidence=100.0,
        box=Box(0.25, 0.25, 0.75, 0.75),
        data={"test": True, "message": "this is a test event; nobody was seen"},
    )


def _row(key: str, kind: str | None, standing: OutputStanding | None) -> dict[str, Any]:
    standing = standing or OutputStanding()
    processor, _, name = key.partition("/")
    oldest = None if standing.oldest is None else rfc3339(datetime.fromtimestamp(standing.oldest, UTC))
    return {
        "output": key,
        "processor": processor,
        "name": name,
        "type": kind,
        "waiting": standing.waiting,
        "oldest": oldest,
        "last_error": standing.error,
        "dead": standing.dead,
    }


def _delivery(item: PendingDelivery, people: bool) -> dict[str, Any]:
    event = plain_document(item.event)
    return {
        "output": item.output,
        "state": item.state,
        "attempts": item.attempts,
        "reason": item.reason,
        "stored": rfc3339(datetime.fromtimestamp(item.stored, UTC)),
        "event": event if people else nameless(event),
    }

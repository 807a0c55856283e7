"""``GET /api/faces/COLLECTION/unknown``: unknown faces of events, by whom they show."""

from __future__ import annotations

import functools
from typing import Any

from aiohttp import web

from streamproc.core.event import Event, EventType
from streamproc.faces.lookup import face_of
from streamproc.faces.service import FaceService
from streamproc.faces.strangers import Strangers
from streamproc.live.supervisor import Supervisor
from streamproc.logic.event_query import EventQuery
from streamproc.server.events import event_document
from streamproc.store.feedback import FeedbackStore
from streamproc.threads import FACES
from streamproc.web.answers import answered
from streamproc.web.guard import Guard

NEWEST = 60
"""So many of the newest unknown faces are put together."""


class StrangerRoutes:
    """A handler over the collections and the history of one node."""

    def __init__(self, service: FaceService, supervisor: Supervisor) -> None:
        self._service = service
        self._supervisor = supervisor
        self._journal = supervisor.journal
        self._feedback = FeedbackStore(supervisor.journal)
        self._strangers = Strangers(service.engine)

    def mount(self, app: web.Application, guard: Guard) -> None:
        app.router.add_get("/api/faces/{collection}/unknown", answered(guard, self.unknown))

    async def unknown(self, request: web.Request) -> Any:
        """Of the cameras that look for this collection, those that nothing was said of yet."""
        collection = request.match_info["collection"]
        await FACES.run(self._service.describe_collection, collection)
        return {"groups": await FACES.run(self._groups, collection)}

    def _groups(self, collection: str) -> list[dict[str, Any]]:
        query = EventQuery(types=(EventType.FACE_UNKNOWN.value,))
        found = self._journal.history.page(query, limit=NEWEST).kept
        ours = [kept for kept in found if kept.pictures and self._looks_for(kept.event, collection)]
        kept = [each for each in ours if self._feedback.get(each.event.id) is None]
        pictures = [(each.event.id, functools.partial(self._face, each.event)) for each in kept]
        return [
            {
                "events": [event_document(kept[place]) for place in group.events],
                "nearest": {"person": group.nearest[0], "similarity": group.nearest[1]} if group.nearest else None,
            }
            for group in self._strangers.of(collection, pictures)
        ]

    def _face(self, event: Event) -> bytes:
        return face_of(event, self._journal.spool.read(event.session, event.id))

    def _looks_for(self, event: Event, collection: str) -> bool:
        if not self._supervisor.known(event.processor):
            return False
        faces = self._supervisor.processor(event.processor).config.faces
        return faces is not None and faces.collection == collection

"""Face collections over HTTP: people with their pictures, enrolment of photos and of events, what people say of an event.

docs/control-api.md describes it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from streamproc.core.errors import InputError, NotFound
from streamproc.core.event import Event, EventType
from streamproc.core.face_answers import IndexAnswer
from streamproc.core.faces import CollectionInfo, StoredFace
from streamproc.core.media import rfc3339
from streamproc.faces.audit import Audit
from streamproc.faces.lookup import face_of, preview
from streamproc.faces.service import FaceService
from streamproc.live.supervisor import Supervisor
from streamproc.logic.event_query import EventQuery
from streamproc.server.events import event_document
from streamproc.store.feedback import Feedback, FeedbackStore
from streamproc.store.history import Kept
from streamproc.threads import FACES, HISTORY
from streamproc.web.answers import answered, known_keys
from streamproc.web.guard import Guard
from streamproc.web.json_body import json_object

LAST_SEEN = 20
"""So many of a person's latest events are looked through for the best picture."""
_RATES = ("faces", "false_match_rate", "false_match_rate_at_most", "false_alarm_rate", "missed", "suggested_threshold")


class FaceRoutes:
    """Handlers over the collections of one node."""

    def __init__(self, service: FaceService, supervisor: Supervisor) -> None:
        self._service = service
        self._supervisor = supervisor
        self._journal = supervisor.journal
        self._feedback = FeedbackStore(supervisor.journal)

    def mount(self, app: web.Application, guard: Guard) -> None:
        place = "/api/faces/{collection}"
        routes = (
            ("GET", "/api/faces", self.collections),
            ("POST", "/api/faces", self.create),
            ("DELETE", place, self.delete),
            ("GET", f"{place}/people", self.people),
            ("POST", f"{place}/people", self.enrol),
            ("POST", f"{place}/preview", self.preview),
            ("GET", f"{place}/people/{{name}}", self.person),
            ("DELETE", f"{place}/people/{{name}}", self.delete_person),
            ("DELETE", f"{place}/faces/{{id}}", self.delete_face),
            ("GET", f"{place}/audit", self.audit),
            ("GET", "/api/events/{id}/feedback", self.said),
            ("POST", "/api/events/{id}/feedback", self.say),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, answered(guard, handler))

    async def collections(self, request: web.Request) -> Any:
        found = await FACES.run(self._service.list_collections)
        return {"collections": [_collection(info) for info in found]}

    async def create(self, request: web.Request) -> Any:
        """``{"name":}``"""
        body = await json_object(request)
        known_keys(body, ("name",))
        return _collection(await FACES.run(self._service.create_collection, _text(body, "name")))

    async def delete(self, request: web.Request) -> Any:
        name = request.match_info["collection"]
        await FACES.run(self._service.delete_collection, name)
        return {"name": name, "deleted": True}

    async def people(self, request: web.Request) -> Any:
        """Everybody of a collection by name, with when and where they were seen last."""
        page = await FACES.run(self._service.list_faces, request.match_info["collection"])
        people: dict[str, list[StoredFace]] = {}
        for face in page.faces:
            people.setdefault(face.person, []).append(face)
        return {"people": await FACES.run(lambda: [self._person(name, people[name]) for name in sorted(people)])}

    async def person(self, request: web.Request) -> Any:
        """One person, with their ``photos``: what is known of each face."""
        name = request.match_info["name"]
        faces = await self._faces_of(request)
        return await FACES.run(self._person, name, faces) | {"photos": [asdict(face) for face in faces]}

    async def enrol(self, request: web.Request) -> Any:
        """The photo as the body and ``?name=``, or ``{"name":, "event": ID}``: the face that an event is about."""
        collection = request.match_info["collection"]
        name, data = await self._picture(request)
        answer = await FACES.run(
            lambda: self._service.index_faces(collection, data, external_image_id=name, max_faces=1)
        )
        return _enrolled(name, answer)

    async def preview(self, request: web.Request) -> Any:
        """As ``enrol``, but nothing is kept: how far the collection can be trusted ``now`` and ``then``."""
        name, data = await self._picture(request)
        found = await FACES.run(preview, self._service.engine, request.match_info["collection"], name, data)
        nearest = [{"person": person, "similarity": similarity} for person, similarity in found.nearest]
        return {"name": name, "nearest": nearest, "now": _rates(found.now, name), "then": _rates(found.then, name)}

    async def delete_person(self, request: web.Request) -> Any:
        """All of a person's faces, and the user where there is one."""
        collection, name = request.match_info["collection"], request.match_info["name"]
        faces = await self._faces_of(request)

        def delete() -> int:
            if any(face.user_id == name for face in faces):
                self._service.users.delete(collection, name)
            return len(self._service.delete_faces(collection, [face.face_id for face in faces]).done)

        return {"name": name, "deleted": await FACES.run(delete)}

    async def delete_face(self, request: web.Request) -> Any:
        collection, face_id = request.match_info["collection"], request.match_info["id"]
        changes = await FACES.run(self._service.delete_faces, collection, [face_id])
        if changes.failed:
            raise NotFound(f"face {face_id} is not deleted: {', '.join(changes.failed[0].reasons)}")
        return {"id": face_id, "deleted": True}

    async def audit(self, request: web.Request) -> Any:
        """How far the collection can be trusted: the report of ``streamproc faces audit``."""
        report, _ = await FACES.run(self._service.audit, request.match_info["collection"])
        return report.document()

    async def said(self, request: web.Request) -> Any:
        """What was said of an event; null where nothing was."""
        kept = await self._kept(request.match_info["id"])
        found = await FACES.run(self._feedback.get, kept.event.id)
        return {"feedback": asdict(found) if found is not None else None}

    async def say(self, request: web.Request) -> Any:
        """``{"verdict": "right" or "wrong", "person": NAME}``.

        Wrong of a known face: this face is never again taken for that person. With ``person``: the face is enrolled under that name.
        """
        body = await json_object(request)
        known_keys(body, ("verdict", "person"))
        verdict, person = body.get("verdict"), body.get("person")
        if verdict not in ("right", "wrong"):
            raise InputError("verdict: use right or wrong")
        if person is not None and (not isinstance(person, str) or not person):
            raise InputError("person: give a name")
        event = (await self._kept(request.match_info["id"])).event
        answer: dict[str, Any] = {}
        if verdict == "wrong" and event.type is EventType.FACE_MATCHED and event.person:
            await FACES.run(self._deny, event)
        if person is not None:
            answer = _enrolled(person, await FACES.run(self._learn, event, person))
            if not answer["faces"]:
                reasons = ", ".join(reason for face in answer["refused"] for reason in face) or "no face was found"
                raise InputError(f"nothing was learned of {person} from this picture: {reasons.lower()}")
        feedback = Feedback(verdict, person, time.time())
        await FACES.run(self._feedback.put, event.id, feedback)
        return answer | {"feedback": asdict(feedback)}

    # -- inside

    def _deny(self, event: Event) -> None:
        self._service.deny(self._collection_of(event), event.person or "", self._face(event))

    def _learn(self, event: Event, person: str) -> IndexAnswer:
        return self._service.index_faces(
            self._collection_of(event), self._face(event), external_image_id=person, max_faces=1
        )

    def _face(self, event: Event) -> bytes:
        return face_of(event, self._journal.spool.read(event.session, event.id))

    def _collection_of(self, event: Event) -> str:
        """The collection in which the event's processor looks for faces."""
        processor = self._supervisor.processor(event.processor)
        if processor.config.faces is None:
            raise InputError(f"{event.processor} does not look for faces in any collection")
        return processor.config.faces.collection

    async def _picture(self, request: web.Request) -> tuple[str, bytes]:
        """Name and photo of an enrolment."""
        if request.content_type.startswith("image/"):
            known_keys(request.query, ("name",))
            return _text(request.query, "name"), await request.read()
        body = await json_object(request)
        known_keys(body, ("name", "event"))
        event = (await self._kept(_text(body, "event"))).event
        return _text(body, "name"), await FACES.run(self._face, event)

    async def _faces_of(self, request: web.Request) -> Sequence[StoredFace]:
        page = await FACES.run(self._service.list_faces, request.match_info["collection"])
        faces = [face for face in page.faces if face.person == request.match_info["name"]]
        if not faces:
            raise NotFound(f"nobody called {request.match_info['name']!r} is in the collection")
        return faces

    def _person(self, name: str, faces: Sequence[StoredFace]) -> dict[str, Any]:
        query = EventQuery(persons=(name,), types=(EventType.FACE_MATCHED.value,))
        seen = self._journal.history.page(query, limit=LAST_SEEN).kept
        pictured = [kept for kept in seen if kept.pictures]
        best = max(pictured, key=lambda kept: kept.event.confidence or 0.0, default=None)
        return {
            "name": name,
            "faces": len(faces),
            "face_ids": [face.face_id for face in faces],
            "sharpness": round(max(face.sharpness for face in faces), 1),
            "last_seen": rfc3339(seen[0].event.at.wall) if seen else None,
            "last_event": seen[0].event.id if seen else None,
            "picture": event_document(best)["crop"] if best is not None else None,
        }

    async def _kept(self, event_id: str) -> Kept:
        kept = await HISTORY.run(self._journal.history.get, event_id)
        if kept is None:
            raise NotFound(f"no event {event_id!r} is kept")
        return kept


def _collection(info: CollectionInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "faces": info.faces,
        "users": info.users,
        "model": info.model,
        "created": rfc3339(info.created),
        "tags": dict(info.tags),
    }


def _enrolled(name: str, answer: IndexAnswer) -> dict[str, Any]:
    faces = [{"face_id": face.face_id, "confidence": round(face.confidence, 2)} for face, _ in answer.records]
    return {"name": name, "faces": faces, "refused": [list(face.reasons) for face in answer.refused]}


def _rates(report: Audit, person: str) -> dict[str, Any]:
    """The figures of an audit that an enrolment changes, and what it says of one person."""
    document = report.document()
    own = next((each for each in document["people"] if each["person"] == person), None)
    confusable = [pair for pair in document["pairs"] if person in (pair["person"], pair["other"])]
    return {key: document[key] for key in _RATES} | {"person": own, "confusable": confusable}


def _text(given: Any, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"{name}: missing; give text")
    return value

"""Every operation on face collections: used by the command line, the endpoint, live feeds and jobs."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from streamproc.config.node import NodeConfig
from streamproc.core.errors import InputError
from streamproc.core.face_answers import (
    FaceChanges,
    FaceFailure,
    FacePage,
    IndexAnswer,
    RefusedFace,
)
from streamproc.core.faces import CollectionInfo, DetectedFace, QualityFilter, StoredFace, face_confidence
from streamproc.core.media import Image
from streamproc.faces import quality
from streamproc.faces.audit import Audit, audit
from streamproc.faces.audit_picture import draw
from streamproc.faces.choice import with_models
from streamproc.faces.engine import FaceEngine
from streamproc.faces.sealing import Seal
from streamproc.faces.search import Searches
from streamproc.faces.users import Users
from streamproc.faces.versions import model_version
from streamproc.store.collections import CollectionRow, CollectionStore, FaceRow

if TYPE_CHECKING:
    from streamproc.faces.reader import FaceReader
    from streamproc.vision.zoo import ModelZoo

_COLLECTION: Final = re.compile(r"[a-zA-Z0-9_.\-]{1,255}")
_EXTERNAL: Final = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")


class FaceService:
    """The face collections of one data directory. Any thread; models are loaded when the first picture comes.

    Raises NotFound for a collection that is not there, InputError (and its kinds) for what the caller can fix.
    """

    def __init__(
        self,
        store: CollectionStore,
        make_reader: Callable[[], FaceReader],
        *,
        now: Callable[[], float] = time.time,
        max_image_bytes: int | None = None,
        seal: Seal | None = None,
    ) -> None:
        self.store = store
        self.engine = FaceEngine(store, make_reader, max_image_bytes=max_image_bytes, seal=seal)
        self.searches = Searches(self.engine)
        self.users = Users(self.engine, now)
        self._now = now

    @property
    def reader(self) -> FaceReader:
        """The models; loaded on first use. Raises ModelUnavailable."""
        return self.engine.reader

    def close(self) -> None:
        self.store.close()

    # collections

    def create_collection(self, name: str, tags: Mapping[str, str] | None = None) -> CollectionInfo:
        """Raises AlreadyExists."""
        if not _COLLECTION.fullmatch(name):
            raise InputError(f"collection {name!r}: use 1 to 255 letters, digits, '_', '.' and '-'")
        self.store.create(name, self.reader.model, self.reader.dimensions, self._now(), tags or {})
        return self.describe_collection(name)

    def describe_collection(self, name: str) -> CollectionInfo:
        return self._info(self.store.get(name))

    def list_collections(self) -> list[CollectionInfo]:
        """All of them, by name."""
        return [self._info(row) for row in self.store.all()]

    def delete_collection(self, name: str) -> None:
        """Delete it with all faces: from disk and from memory."""
        self.store.drop(name)
        if (library := self.engine.loaded_library) is not None:
            library.forget(name)

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        self.store.get(name)
        self.store.set_tags(name, tags)

    # faces

    def index_faces(
        self,
        name: str,
        data: bytes,
        *,
        external_image_id: str | None = None,
        max_faces: int | None = None,
        quality_filter: QualityFilter = QualityFilter.AUTO,
        attributes: bool = False,
    ) -> IndexAnswer:
        """Store the faces of one picture. The same picture with the same external id gives the faces stored before.

        No face is no error: the answer is then empty. ``refused`` names what was left out and why.
        """
        if external_image_id is not None and not _EXTERNAL.fullmatch(external_image_id):
            raise InputError(f"name {external_image_id!r}: use 1 to 255 letters, digits, '_', '.', '-' and ':'")
        self.engine.library.open(name)
        image = self.engine.decode(data)
        found = self.engine.detect(image, quality_filter, attributes=attributes)
        chosen, refused = _choose(found, max_faces)
        image_id, digest = str(uuid.uuid4()), hashlib.sha256(data).digest()
        rows = [self._row(image, face, image_id, external_image_id, digest) for face in chosen]
        stored = self.store.add_faces(name, rows)
        return IndexAnswer(tuple(zip(stored, chosen, strict=True)), refused, self.reader.model_version)

    def list_faces(
        self,
        name: str,
        *,
        user_id: str | None = None,
        face_ids: Sequence[str] | None = None,
        limit: int | None = None,
        after: int = 0,
    ) -> FacePage:
        """Faces in order of enrolment; ``limit`` 0 gives none."""
        row = self.store.get(name)
        ask = None if limit is None else limit + 1
        numbered = self.store.faces(name, after=after, limit=ask, user_id=user_id, face_ids=face_ids)
        more = limit is not None and len(numbered) > limit
        shown = numbered[:limit] if limit is not None else numbered
        going_on = (shown[-1][0] if shown else after) if more else None
        return FacePage(tuple(face for _, face in shown), going_on, model_version(row.model))

    def delete_faces(self, name: str, face_ids: Sequence[str]) -> FaceChanges:
        """Delete faces from disk and memory; a user's faces must be disassociated first."""
        self.store.get(name)
        known = {face.face_id: face for _, face in self.store.faces(name, face_ids=face_ids)}
        done, failed = [], []
        for face_id in dict.fromkeys(face_ids):
            face = known.get(face_id)
            if face is None:
                failed.append(FaceFailure(face_id, ("FACE_NOT_FOUND",)))
            elif face.user_id is not None:
                failed.append(FaceFailure(face_id, ("ASSOCIATED_TO_AN_EXISTING_USER",), face.user_id))
            else:
                done.append(face_id)
        if done:
            self.store.delete_faces(name, done)
            if (library := self.engine.loaded_library) is not None:
                library.open(name)
        return FaceChanges(tuple(done), tuple(failed))

    # what was learned, and how far it can be trusted

    def deny(self, name: str, person: str, data: bytes) -> None:
        """Keep that the largest face of this picture is not ``person`` (an external id, user or face id). Raises NoFace."""
        self.engine.library.open(name)
        image = self.engine.decode(data)
        vector = self.reader.embed(image, self.engine.largest(image, QualityFilter.NONE).face)
        known = {
            name for _, face in self.store.faces(name) for name in (face.person, face.external_image_id, face.face_id)
        }
        if person not in known:
            raise InputError(f"nobody called {person!r} is in the collection {name}; faces list {name} shows who is")
        self.store.deny(name, person, vector, self._now())

    def audit(self, name: str, threshold: float = 80.0) -> tuple[Audit, Image]:
        """How far a collection can be trusted, as a report and a picture of its similarities."""
        index = self.engine.library.open(name)
        numbered = self.store.faces(name)
        vectors = index.vectors(np.array([number for number, _ in numbered], np.int64))
        report, genuine, strangers = audit([face for _, face in numbered], vectors, index.curve, threshold)
        return report, draw(name, report, genuine, strangers, index.curve)

    def _row(
        self, image: Image, detected: DetectedFace, image_id: str, external_image_id: str | None, digest: bytes
    ) -> FaceRow:
        judged = detected.quality
        face = StoredFace(
            face_id=str(uuid.uuid4()),
            image_id=image_id,
            external_image_id=external_image_id,
            box=detected.face.box,
            confidence=face_confidence(detected.face.score),
            model_version=self.reader.model_version,
            sharpness=judged.sharpness,
            brightness=judged.brightness,
            eye_distance_px=judged.eye_distance_px,
            yaw=judged.pose.yaw,
            pitch=judged.pose.pitch,
        )
        return FaceRow(face, self.reader.embed(image, detected.face), digest)

    def _info(self, row: CollectionRow) -> CollectionInfo:
        faces, users = self.store.counts(row.name)
        created = datetime.fromtimestamp(row.created, UTC)
        return CollectionInfo(row.name, row.model, model_version(row.model), faces, users, created, row.tags)


def open_service(data_dir: Path, node: NodeConfig | None = None, zoo: ModelZoo | None = None) -> FaceService:
    """The collections of a data directory, by the node's settings. Raises InputError for a wrong key file."""
    node = node or NodeConfig()
    seal = Seal.from_file(node.faces.key_file) if node.faces.key_file else None
    store = CollectionStore(data_dir, seal)

    def make_reader() -> FaceReader:
        # Inference is only imported where pictures are looked at: listing faces must not wait for it.
        from streamproc.faces.reader import FaceReader
        from streamproc.vision.zoo import open_zoo

        models = zoo or open_zoo(node.models)
        made_with = [row.model for row in store.all()]
        return FaceReader(models, with_models(node.faces, made_with, models.first_name))

    return FaceService(store, make_reader, seal=seal)


def _choose(found: Sequence[DetectedFace], max_faces: int | None) -> tuple[list[DetectedFace], tuple[RefusedFace, ...]]:
    """Which faces to use: what fails the gate is out; beyond ``max_faces`` the poorest go first, then the smallest."""
    passed = [face for face in found if not face.quality.reasons]
    refused = [RefusedFace(face, face.quality.reasons) for face in found if face.quality.reasons]
    if max_faces is not None and len(passed) > max_faces:

        def rank(face: DetectedFace) -> tuple[bool, float]:
            return bool(
                quality.reasons(face.quality, face.face, quality.GATES[QualityFilter.AUTO])
            ), -face.face.box.area

        ranked = sorted(passed, key=rank)
        refused += [RefusedFace(face, ("EXCEEDS_MAX_FACES",)) for face in ranked[max_faces:]]
        passed = sorted(ranked[:max_faces], key=lambda face: -face.face.box.area)
    return passed, tuple(refused)

"""Users of a collection: several faces that are one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from streamproc.core.errors import LimitExceeded, NotFound
from streamproc.core.face_answers import FaceChanges, FaceFailure, RefusedFace, UserPage, UserSearch
from streamproc.core.faces import QualityFilter, StoredFace, UserMatch, UserStatus
from streamproc.core.vision import FloatArray
from streamproc.faces.engine import FaceEngine, largest_of
from streamproc.faces.library import CollectionIndex
from streamproc.faces.search import DEFAULT_MATCHES

MAX_FACES_OF_A_USER: Final = 100


class Users:
    """The operations on users. Raises NotFound for a collection or user that is not there."""

    def __init__(self, engine: FaceEngine, now: Callable[[], float]) -> None:
        """``now``: epoch seconds."""
        self._engine = engine
        self._store = engine.store
        self._now = now

    def create(self, name: str, user_id: str) -> None:
        """Raises AlreadyExists."""
        self._store.get(name)
        self._store.users.create(name, user_id, self._now())

    def delete(self, name: str, user_id: str) -> None:
        """Its faces stay, associated with nobody."""
        self._store.get(name)
        self._store.users.delete(name, user_id)

    def list(self, name: str, *, limit: int | None = None, after: str = "") -> UserPage:
        """By name."""
        self._store.get(name)
        found = self._store.users.all(name, after, None if limit is None else limit + 1)
        shown = found if limit is None else found[:limit]
        users = tuple((user_id, UserStatus.ACTIVE if faces else UserStatus.CREATED) for user_id, faces in shown)
        return UserPage(users, shown[-1][0] if len(shown) < len(found) else None)

    def associate(self, name: str, user_id: str, face_ids: Sequence[str], *, threshold: float = 75.0) -> FaceChanges:
        """Give faces to a user. A face must resemble one that the user has (the first of a new user is taken as it is)."""
        self._require(name, user_id)
        index = self._engine.library.open(name)
        numbered = {face.face_id: (number, face) for number, face in self._store.faces(name, face_ids=face_ids)}
        own = self._vectors(index, [number for number, _ in self._store.faces(name, user_id=user_id)])
        done: list[str] = []
        failed: list[FaceFailure] = []
        for face_id in dict.fromkeys(face_ids):
            number, face = numbered.get(face_id, (0, None))
            vector = self._vectors(index, [number])
            reason = self._refusal(index, face, vector, own, user_id, threshold)
            if reason is not None:
                failed.append(FaceFailure(face_id, (reason,), face.user_id if face else None))
                continue
            if face is not None and face.user_id is None:
                own = np.concatenate([own, vector])
            done.append(face_id)
        if len(own) > MAX_FACES_OF_A_USER:
            raise LimitExceeded(f"user {user_id} would have {len(own)} faces, at most {MAX_FACES_OF_A_USER} are kept")
        self._store.users.assign(name, done, user_id)
        return FaceChanges(tuple(done), tuple(failed), self._status(name, user_id))

    def disassociate(self, name: str, user_id: str, face_ids: Sequence[str]) -> FaceChanges:
        """Take faces from a user; they stay in the collection."""
        self._require(name, user_id)
        known = {face.face_id: face for _, face in self._store.faces(name, face_ids=face_ids)}
        done: list[str] = []
        failed: list[FaceFailure] = []
        for face_id in dict.fromkeys(face_ids):
            face = known.get(face_id)
            if face is None:
                failed.append(FaceFailure(face_id, ("FACE_NOT_FOUND",)))
            elif face.user_id != user_id:
                failed.append(FaceFailure(face_id, ("ASSOCIATED_TO_A_DIFFERENT_USER",), face.user_id))
            else:
                done.append(face_id)
        self._store.users.assign(name, done, None)
        return FaceChanges(tuple(done), tuple(failed), self._status(name, user_id))

    def search(
        self,
        name: str,
        *,
        user_id: str | None = None,
        face_id: str | None = None,
        threshold: float = 80.0,
        limit: int | None = None,
    ) -> UserSearch:
        """Users like a stored face, or like another user; that user itself is left out."""
        index = self._engine.library.open(name)
        if face_id is not None:
            queries = self._engine.stored_vector(name, index, face_id)[None]
        else:
            self._require(name, user_id or "")
            queries = self._vectors(index, [number for number, _ in self._store.faces(name, user_id=user_id)])
        matches = self._matches(name, index, queries, threshold, user_id)
        return UserSearch(matches[: limit or DEFAULT_MATCHES], self._engine.reader.model_version)

    def search_by_image(
        self,
        name: str,
        data: bytes,
        *,
        threshold: float = 80.0,
        limit: int | None = None,
        quality_filter: QualityFilter = QualityFilter.NONE,
    ) -> UserSearch:
        """Users like the largest face of a picture. Raises NoFace."""
        engine = self._engine
        index = engine.library.open(name)
        image = engine.decode(data)
        found = engine.detect(image, quality_filter)
        searched = largest_of(found)
        others = [face for face in found if face.face.box != searched.face.box]
        refused = tuple(RefusedFace(face, face.quality.reasons or ("FACE_NOT_LARGEST",)) for face in others)
        matches = self._matches(name, index, engine.reader.embed(image, searched.face)[None], threshold, None)
        return UserSearch(matches[: limit or DEFAULT_MATCHES], engine.reader.model_version, searched, refused)

    def _matches(
        self, name: str, index: CollectionIndex, queries: FloatArray, threshold: float, without: str | None
    ) -> tuple[UserMatch, ...]:
        """A user's likeness is that of its mean vector or of its best face, whichever is more."""
        grouped: dict[str, list[int]] = {}
        for number, user_id in self._store.users.associated(name):
            if user_id != without:
                grouped.setdefault(user_id, []).append(number)
        if not grouped or not len(queries):
            return ()
        matches = []
        for user_id, numbers in grouped.items():
            vectors = self._vectors(index, numbers)
            mean = vectors.mean(0)
            mean /= max(float(np.linalg.norm(mean)), 1e-12)
            cosine = float((np.vstack([vectors, mean]) @ queries.T).max())
            matches.append(UserMatch(user_id, UserStatus.ACTIVE, index.curve.similarity(cosine)))
        matches.sort(key=lambda match: (-match.similarity, match.user_id))
        return tuple(match for match in matches if match.similarity >= threshold)

    @staticmethod
    def _refusal(
        index: CollectionIndex,
        face: StoredFace | None,
        vector: FloatArray,
        own: FloatArray,
        user_id: str,
        threshold: float,
    ) -> str | None:
        if face is None:
            return "FACE_NOT_FOUND"
        if face.user_id is not None and face.user_id != user_id:
            return "ASSOCIATED_TO_A_DIFFERENT_USER"
        if len(own) and index.curve.similarity(float((own @ vector[0]).max())) < threshold:
            return "LOW_MATCH_CONFIDENCE"
        return None

    def _vectors(self, index: CollectionIndex, numbers: Sequence[int]) -> FloatArray:
        return index.vectors(np.array(numbers, np.int64))

    def _status(self, name: str, user_id: str) -> UserStatus:
        return UserStatus.ACTIVE if self._store.faces(name, user_id=user_id, limit=1) else UserStatus.CREATED

    def _require(self, name: str, user_id: str) -> None:
        self._store.get(name)
        if not self._store.users.has(name, user_id):
            raise NotFound(f"The user id: {user_id} does not exist in the collection {name}")

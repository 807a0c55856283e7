"""The collections in memory: kept in step with the store, also when another process enrols or deletes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from streamproc.core.errors import InUse, NotFound
from streamproc.core.faces import FaceMatch, StoredFace
from streamproc.core.vision import FloatArray
from streamproc.faces.calibration import Curve
from streamproc.faces.index import FaceIndex, Hits, Numbers
from streamproc.store.collections import CollectionRow, CollectionStore

_FACES_FOR_PEOPLE: Final = 200
"""So many of the most similar faces are looked through for different people."""


class ModelMismatch(InUse):
    """The collection's vectors are another embedder's."""


@dataclass
class _Held:
    """One collection in memory."""

    row: CollectionRow
    index: FaceIndex
    faces: dict[int, StoredFace] = field(default_factory=dict)
    """By sequence number, filled as they are asked for."""
    denials: dict[str, FloatArray] = field(default_factory=dict)
    """(N, D) vectors of faces that are not this person, by person."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody of the collection who might be the searched face."""

    person: str
    match: FaceMatch
    """The most similar of this person's faces."""
    vector: FloatArray
    """(D,) that face's vector."""


@dataclass(frozen=True, slots=True)
class CollectionIndex:
    """One collection as it stands now: what a search works on."""

    _held: _Held
    _store: CollectionStore
    curve: Curve

    @property
    def size(self) -> int:
        return len(self._held.index)

    @property
    def version(self) -> tuple[int, int, int]:
        """Changes whenever the collection does."""
        row = self._held.row
        return row.id, row.edits, row.last

    def search(self, vectors: FloatArray, threshold: float, limit: int) -> list[list[FaceMatch]]:
        """For each of (Q, D) vectors the faces with a similarity of ``threshold`` or more, most similar first.

        A face that was denied (``faces feedback``) is left out where what was denied resembles the query more than it does.
        """
        least = self.curve.cosine(threshold)
        found = self._held.index.snapshot().search(vectors, least, limit + self._spare())
        self._learn({int(number) for hits in found for number in hits.numbers})
        return [self._matches(vector, hits)[:limit] for vector, hits in zip(vectors, found, strict=True)]

    def people(self, vectors: FloatArray, threshold: float, limit: int = 3) -> list[list[Candidate]]:
        """For each of (Q, D) vectors the people it resembles most, each by the best of their faces."""
        least = self.curve.cosine(threshold)
        found = self._held.index.snapshot().search(vectors, least, _FACES_FOR_PEOPLE)
        self._learn({int(number) for hits in found for number in hits.numbers})
        return [self._people(vector, hits, limit) for vector, hits in zip(vectors, found, strict=True)]

    def _people(self, vector: FloatArray, hits: Hits, limit: int) -> list[Candidate]:
        people: dict[str, Candidate] = {}
        for number, cosine in zip(hits.numbers, hits.cosines, strict=True):
            face = self._held.faces.get(int(number))
            if face is None or face.person in people or self._denied(face, vector, float(cosine)):
                continue
            own = self._held.index.take(np.array([number], np.int64))[0]
            people[face.person] = Candidate(face.person, FaceMatch(face, self.curve.similarity(float(cosine))), own)
            if len(people) == limit:
                break
        return list(people.values())

    def vectors(self, numbers: Numbers) -> FloatArray:
        """(K, D) vectors of these faces."""
        return self._held.index.take(numbers)

    def _matches(self, vector: FloatArray, hits: Hits) -> list[FaceMatch]:
        faces, matches = self._held.faces, []
        for number, cosine in zip(hits.numbers, hits.cosines, strict=True):
            face = faces.get(int(number))
            if face is None or self._denied(face, vector, float(cosine)):
                continue
            matches.append(FaceMatch(face, self.curve.similarity(float(cosine))))
        return matches

    def _denied(self, face: StoredFace, vector: FloatArray, cosine: float) -> bool:
        for name in {face.person, face.external_image_id, face.face_id}:
            others = self._held.denials.get(name) if name else None
            if others is not None and float((others @ vector).max()) >= cosine:
                return True
        return False

    def _spare(self) -> int:
        return 64 if self._held.denials else 0

    def _learn(self, numbers: set[int]) -> None:
        unknown = numbers - self._held.faces.keys()
        if unknown:
            self._held.faces.update(self._store.faces_at(unknown))


class Library:
    """Every collection that was asked for. Any thread."""

    def __init__(self, store: CollectionStore, model: str, curve: Curve) -> None:
        self._store = store
        self._model = model
        self._curve = curve
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    def open(self, name: str) -> CollectionIndex:
        """The collection, brought up to date (some 20 microseconds when nothing changed).

        Raises NotFound, and ModelMismatch for a collection of another embedder.
        """
        try:
            row = self._store.get(name)
        except NotFound:
            self.forget(name)  # another process deleted it
            raise
        if row.model != self._model:
            raise ModelMismatch(
                f"the collection {name} was made with the embedder {row.model}, this node uses {self._model}; their vectors "
                f"cannot be compared: set faces.embedder in streamproc.yaml to the collection's, or enrol anew"
            )
        held = self._held.get(name)
        if held is None or (held.row.id, held.row.edits, held.row.last) != (row.id, row.edits, row.last):
            held = self._update(name, row)
        return CollectionIndex(held, self._store, self._curve)

    def forget(self, name: str) -> None:
        """Drop a deleted collection from memory."""
        with self._lock:
            held = self._held.pop(name, None)
            if held is not None:
                held.index.keep(np.zeros(0, np.int64))

    def _update(self, name: str, row: CollectionRow) -> _Held:
        with self._lock:
            held = self._held.get(name)
            if held is None or held.row.id != row.id:
                if held is not None:
                    held.index.keep(np.zeros(0, np.int64))
                held = _Held(row, FaceIndex(row.dimensions), denials=self._denials(name))
                held.index.reserve(self._store.counts(name)[0])
            elif held.row.edits != row.edits:
                held.index.keep(self._store.numbers(name))
                held = _Held(row, held.index, denials=self._denials(name))
            else:
                held = _Held(row, held.index, held.faces, held.denials)
            for numbers, vectors in self._store.vectors(name, held.index.last):
                held.index.add(numbers, vectors)
            self._held[name] = held
            return held

    def _denials(self, name: str) -> dict[str, FloatArray]:
        grouped: dict[str, list[FloatArray]] = {}
        for person, vector in self._store.denials(name):
            grouped.setdefault(person, []).append(vector)
        return {person: np.stack(vectors) for person, vectors in grouped.items()}

"""Searches of faces in a collection, and comparisons of single pictures."""

from __future__ import annotations

from typing import Final

from streamproc.core.face_answers import Comparison, FaceSearch, NoFace
from streamproc.core.faces import DetectedFace, QualityFilter
from streamproc.faces.engine import FaceEngine

DEFAULT_MATCHES: Final = 80
"""The service's answer when MaxFaces or MaxUsers is not given."""


class Searches:
    """Who is this? Raises NotFound for a collection that is not there."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine

    def by_face(self, name: str, face_id: str, *, threshold: float = 80.0, max_faces: int | None = None) -> FaceSearch:
        """Faces like a stored one, without itself. Raises UnknownFace."""
        index = self._engine.library.open(name)
        vector = self._engine.stored_vector(name, index, face_id)
        limit = max_faces or DEFAULT_MATCHES
        (matches,) = index.search(vector[None], threshold, limit + 1)
        others = [match for match in matches if match.face.face_id != face_id]
        return FaceSearch(tuple(others[:limit]), self._engine.reader.model_version)

    def by_image(
        self,
        name: str,
        data: bytes,
        *,
        threshold: float = 80.0,
        max_faces: int | None = None,
        quality_filter: QualityFilter = QualityFilter.NONE,
    ) -> FaceSearch:
        """Faces like the largest of a picture. Raises NoFace."""
        index = self._engine.library.open(name)
        image = self._engine.decode(data)
        searched = self._engine.largest(image, quality_filter)
        vector = self._engine.reader.embed(image, searched.face)
        (matches,) = index.search(vector[None], threshold, max_faces or DEFAULT_MATCHES)
        return FaceSearch(tuple(matches), self._engine.reader.model_version, searched)

    def detect(self, data: bytes, *, attributes: bool = False) -> list[DetectedFace]:
        """Every face of a picture, largest first."""
        return self._engine.detect(self._engine.decode(data), QualityFilter.NONE, attributes=attributes)

    def compare(
        self,
        source: bytes,
        target: bytes,
        *,
        threshold: float = 80.0,
        quality_filter: QualityFilter = QualityFilter.NONE,
    ) -> Comparison:
        """The largest face of ``source`` against every face of ``target``. Raises NoFace when either holds none."""
        first, second = self._engine.decode(source), self._engine.decode(target)
        wanted = self._engine.largest(first, quality_filter)
        others = [face for face in self._engine.detect(second, quality_filter) if not face.quality.reasons]
        if not others:
            raise NoFace()
        vector = self._engine.reader.embed(first, wanted.face)
        scored = [
            (face, self._engine.reader.curve.similarity(float(vector @ self._engine.reader.embed(second, face.face))))
            for face in others
        ]
        scored.sort(key=lambda pair: -pair[1])
        matches = tuple(pair for pair in scored if pair[1] >= threshold)
        return Comparison(wanted, matches, tuple(face for face, similarity in scored if similarity < threshold))

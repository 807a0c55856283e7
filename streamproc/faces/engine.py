"""What every operation on faces stands on: the models, the indexes of the collections, and pictures to faces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from streamproc.core.face_answers import NoFace, UnknownFace
from streamproc.core.faces import DetectedFace, QualityFilter
from streamproc.core.media import Image
from streamproc.core.vision import FloatArray
from streamproc.faces.images import decode
from streamproc.faces.library import CollectionIndex, Library
from streamproc.faces.sealing import Seal
from streamproc.store.collections import CollectionStore

if TYPE_CHECKING:
    from streamproc.faces.reader import FaceReader


class FaceEngine:
    """Reader, indexes and store of one data directory. Any thread; models are loaded when the first picture comes."""

    def __init__(
        self,
        store: CollectionStore,
        make_reader: Callable[[], FaceReader],
        *,
        max_image_bytes: int | None = None,
        seal: Seal | None = None,
    ) -> None:
        self.store = store
        self.seal = seal
        """For whoever else puts vectors on disk."""
        self._make_reader = make_reader
        self._max_image_bytes = max_image_bytes
        self._lock = threading.Lock()
        self._reader: FaceReader | None = None
        self._library: Library | None = None

    @property
    def reader(self) -> FaceReader:
        """The models; loaded on first use. Raises ModelUnavailable."""
        with self._lock:
            if self._reader is None:
                self._reader = self._make_reader()
            return self._reader

    @property
    def library(self) -> Library:
        reader = self.reader
        with self._lock:
            if self._library is None:
                self._library = Library(self.store, reader.model, reader.curve)
            return self._library

    @property
    def loaded_library(self) -> Library | None:
        """The indexes, where any was needed yet: what changes on disk need not load models."""
        return self._library

    def decode(self, data: bytes) -> Image:
        return decode(data, max_bytes=self._max_image_bytes).image

    def detect(self, image: Image, gate: QualityFilter, *, attributes: bool = False) -> list[DetectedFace]:
        """Every face, judged, largest first."""
        judged = [self.reader.judge(image, face, gate) for face in self.reader.find(image)]
        if not attributes:
            return judged
        return [DetectedFace(face.face, face.quality, self.reader.attributes(image, face.face)) for face in judged]

    def largest(self, image: Image, gate: QualityFilter) -> DetectedFace:
        """The largest face that passes the gate. Raises NoFace."""
        return largest_of(self.detect(image, gate))

    def stored_vector(self, name: str, index: CollectionIndex, face_id: str) -> FloatArray:
        """Raises UnknownFace."""
        rows = self.store.faces(name, face_ids=[face_id])
        if not rows:
            raise UnknownFace(f"faceId {face_id} was not found in the collection {name}")
        vector: FloatArray = index.vectors(np.array([rows[0][0]], np.int64))[0]
        return vector


def largest_of(faces: Iterable[DetectedFace]) -> DetectedFace:
    """The first of ``faces`` (largest first) that passed its gate. Raises NoFace."""
    for face in faces:
        if not face.quality.reasons:
            return face
    raise NoFace()

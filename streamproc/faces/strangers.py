"""Unknown faces of events, put together by whom they show, so that somebody is named once and not once a visit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.core.errors import InputError
from streamproc.core.face_answers import NoFace
from streamproc.core.faces import QualityFilter
from streamproc.core.vision import FloatArray
from streamproc.faces.engine import FaceEngine
from streamproc.logic.grouping import grouped

_REMEMBERED = 500
_ALIKE = 80.0
"""Similarity from which two faces count as one person's: the service's own default."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Faces that resemble one another."""

    events: tuple[int, ...]
    """Places in the list that was asked about."""
    nearest: tuple[str, float] | None
    """Whom of the collection they resemble most, with the similarity; None: it is empty, or no face was seen well."""


class Strangers:
    """Remembers the vectors of events' faces, in memory alone. Any thread."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self._vectors: OrderedDict[str, FloatArray | None] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, collection: str, pictures: Sequence[tuple[str, Callable[[], bytes]]]) -> list[Stranger]:
        """``pictures``: event ids and their pictures of a face, newest first. The largest group first; what shows no face stands alone."""
        index = self._engine.library.open(collection)
        vectors = [self._vector(identity, picture) for identity, picture in pictures]
        seen = [place for place, vector in enumerate(vectors) if vector is not None]
        if not seen:
            return [Stranger((place,), None) for place in range(len(vectors))]
        stacked = np.stack([vector for vector in vectors if vector is not None])
        found = []
        for members in grouped(stacked @ stacked.T, index.curve.cosine(_ALIKE)):
            middle = stacked[members].mean(0)
            (people,) = index.people((middle / np.linalg.norm(middle))[None].astype(np.float32), 0.0)
            best = max(people, key=lambda each: each.match.similarity, default=None)
            nearest = (best.person, round(best.match.similarity, 1)) if best is not None else None
            found.append(Stranger(tuple(seen[member] for member in members), nearest))
        found.sort(key=lambda group: -len(group.events))
        return found + [Stranger((place,), None) for place, vector in enumerate(vectors) if vector is None]

    def _vector(self, identity: str, picture: Callable[[], bytes]) -> FloatArray | None:
        """None: no face is seen well enough."""
        with self._lock:
            if identity in self._vectors:
                self._vectors.move_to_end(identity)
                return self._vectors[identity]
        try:
            image = self._engine.decode(picture())
            found = self._engine.largest(image, QualityFilter.NONE)
            vector: FloatArray | None = self._engine.reader.embed(image, found.face)
        except (NoFace, InputError):
            vector = None
        with self._lock:
            self._vectors[identity] = vector
            while len(self._vectors) > _REMEMBERED:
                self._vectors.popitem(last=False)
        return vector

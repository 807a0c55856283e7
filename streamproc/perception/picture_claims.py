"""Everything that is claimed of one picture: objects weighed against each other, faces, and the classifier's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from streamproc.core.faces import DetectedFace
from streamproc.core.media import Image
from streamproc.perception.claims import Claim, at_least, claims_of
from streamproc.perception.face_claims import face_claims
from streamproc.perception.objects import ObjectFinder
from streamproc.perception.scenes import crowd
from streamproc.perception.taxonomy import taxonomy
from streamproc.perception.weighing import weighed


class LabelFinder(Protocol):
    """Labels by a classifier: ImageNet's (``word_finder``), or a user's own words (``bank_finder``)."""

    @property
    def names(self) -> Sequence[str]:
        """Labels beside the taxonomy's that it can tell."""
        ...

    def find(self, image: Image, claims: Sequence[Claim], most: int) -> list[Claim]:
        """Labels from at most ``most`` looks. ``claims``: the picture's objects."""
        ...


_LEAST_BODY = 5.0
"""A person that a detector only suspects still speaks for a face."""


@dataclass(frozen=True, slots=True)
class PictureModels:
    """What looks at pictures of one shape."""

    objects: ObjectFinder
    words: Sequence[LabelFinder] = ()
    """Classifiers, each for its own labels."""
    looks: int = 0
    """The most looks of the classifier at one picture."""


def claims_in(
    models: PictureModels,
    image: Image,
    least: float,
    *,
    faces: Sequence[DetectedFace] = (),
    memo: dict[str, Any] | None = None,
) -> list[Claim]:
    """All claims at or above ``least`` (0..100), surest first.

    ``faces``: found in the same picture. ``memo``: the frame's, see ``ObjectFinder.find``.
    """
    words = taxonomy()
    things = weighed(claims_of(models.objects.find(image, _LEAST_BODY, memo), words), words)
    told = [*things, *crowd(things), *face_claims(faces, things, words)]
    for finder in models.words:
        told += finder.find(image, things, models.looks)
    return sorted(at_least(told, least), key=lambda each: (-each.confidence, each.label, each.box or ()))

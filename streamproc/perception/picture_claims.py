"""Everything that is claimed of one picture: objects weighed against each other, faces, and the classifier's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.core.faces import DetectedFace
from streamproc.core.media import Image
from streamproc.perception.claims import Claim, at_least, claims_of
from streamproc.perception.face_claims import face_claims
from streamproc.perception.objects import ObjectFinder
from streamproc.perception.scenes import crowd
from streamproc.perception.taxonomy import taxonomy
from streamproc.perception.weighing import weighed
from streamproc.perception.word_finder import WordFinder

_LEAST_BODY = 5.0
"""A person that a detector only suspects still speaks for a face."""


@dataclass(frozen=True, slots=True)
class PictureModels:
    """What looks at pictures of one shape."""

    objects: ObjectFinder
    words: WordFinder | None = None
    """None where no calibrated classifier can be had."""
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
    if models.words is not None and models.looks:
        told += models.words.find(image, things, models.looks)
    return sorted(at_least(told, least), key=lambda each: (-each.confidence, each.label, each.box or ()))

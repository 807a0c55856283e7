"""Labels by an ImageNet classifier: of objects by kind, of what people wear, and of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from streamproc.contracts import Classifier
from streamproc.core.media import Image
from streamproc.core.vision import FloatArray
from streamproc.perception.calibration import LEAST_SHARE, Calibration, Evidence, calibrations, evidence_for
from streamproc.perception.claims import Claim
from streamproc.perception.looks import Look, LookKind, plan
from streamproc.perception.scenes import indoors_or_out, scene_signs
from streamproc.perception.taxonomy import Taxonomy, taxonomy
from streamproc.perception.word_sums import WordSums, word_sums
from streamproc.vision.align import square_crop

log = structlog.get_logger(__name__)
_MARGIN = {LookKind.OBJECT: 1.1, LookKind.UPPER: 1.0, LookKind.LOWER: 1.0}
_SEEN = 20.0
"""From this confidence an object counts as seen when a detector is asked whether it agrees."""


class WordFinder:
    """Labels of pictures by one classifier. Any thread."""

    def __init__(self, classifier: Classifier, calibration: Calibration) -> None:
        self.classifier = classifier
        self._calibration = calibration
        self._words: Taxonomy = taxonomy()
        self._sums: WordSums = word_sums()

    @property
    def names(self) -> tuple[str, ...]:
        """None beside the taxonomy's."""
        return ()

    def find(self, image: Image, claims: Sequence[Claim], most: int) -> list[Claim]:
        """Labels at any confidence, from at most ``most`` looks. ``claims``: the picture's objects."""
        height, width = image.shape[:2]
        seen = {claim.label for claim in claims if claim.confidence >= _SEEN}
        found = []
        for look in plan(claims, width, height, most):
            shares = self.classifier.classify(crop_of(image, look))
            if look.kind is LookKind.FRAME:
                terms = scene_signs().terms(shares, claims)
                found.append(indoors_or_out(terms, self._calibration.scene))
            for evidence in evidence_of(look, shares, seen, self._words, self._sums):
                sure = self._calibration.confidence(evidence, self._words.labels[evidence.label].categories)
                if look.of is not None and self._words.is_a(evidence.label, look.of.label):
                    # A breed is no surer than the dog, and has its place.
                    found.append(Claim(evidence.label, min(sure, look.of.confidence), look.box))
                else:
                    found.append(Claim(evidence.label, sure))
        return found


def crop_of(image: Image, look: Look) -> Image:
    """What the classifier is shown: the whole picture, or the square around an object."""
    if look.kind is LookKind.FRAME:
        return image
    return square_crop(image, look.box.clipped(), _MARGIN[look.kind])[0]


def evidence_of(look: Look, shares: FloatArray, seen: set[str], words: Taxonomy, sums: WordSums) -> list[Evidence]:
    """What one look says, of all labels that it may speak for."""
    return [
        evidence_for(look, name, share, seen, words, sums)
        for name, share in sums.sums(shares, LEAST_SHARE).items()
        if look.speaks_for(name, words)
    ]


def word_finder(classifier: Classifier) -> WordFinder | None:
    """A finder, or None for a classifier whose scores nobody has calibrated: what cannot be calibrated is not told."""
    calibration = calibrations().get(classifier.name)
    if calibration is None:
        log.warning("labels_not_calibrated", model=classifier.name, why="its labels are not told")
        return None
    return WordFinder(classifier, calibration)

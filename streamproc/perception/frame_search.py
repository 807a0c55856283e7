"""What the detectors of a feed find in one frame: in the whole of it, and at second looks at what moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamproc.contracts import Detector
from streamproc.core.classes import Group
from streamproc.core.media import Picture
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import as_boxes, covered, expand, iou
from streamproc.logic.motion import Blob
from streamproc.perception.beside import ALONE, Beside
from streamproc.perception.candidates import LEAST_SCORE, NOISE, Candidate, in_frame, nothing_there, up_close
from streamproc.perception.detect import detect_all
from streamproc.perception.label_models import LabelModels


@dataclass(frozen=True, slots=True)
class SecondLookPolicy:
    """How much is spent on second looks."""

    crops: int = 2
    """Most of them a frame."""
    big_blob: float = 0.4
    """A blob that covers more of the frame than this gains nothing from a second look."""
    no_gain: float = 1.3
    """A second look at fewer times the whole frame's resolution shows nothing that was not there."""
    large_px: float = 48.0
    """What is this large (smaller side, on the detector's canvas) the whole frame should have shown."""


@dataclass(frozen=True)
class FrameSearch:
    """Keeps nothing from frame to frame. Each search counts in ``runs`` which models it asked how often."""

    models: LabelModels
    beside: Beside = ALONE
    policy: SecondLookPolicy = field(default_factory=SecondLookPolicy)

    def whole(self, picture: Picture, runs: Counter[str]) -> dict[str, Detections]:
        """What every detector of the whole frame says, by its name."""
        whole = self.models.whole(picture.width, picture.height)
        if not whole:
            return {}
        runs.update(each.name for each in whole)
        small = picture.bgr(max(each.input_size[0] for each in whole), max(each.input_size[1] for each in whole))
        names, found = [each.name for each in whole], detect_all(whole, small, LEAST_SCORE, self.beside)
        return dict(zip(names, found, strict=True))

    def candidates(self, picture: Picture, found: dict[str, Detections]) -> list[Candidate]:
        """What ``whole`` found, merged over the detectors."""
        whole = [each for each in self.models.whole(picture.width, picture.height) if each.name in found]
        return in_frame(whole, [found[each.name] for each in whole])

    def closer(
        self,
        picture: Picture,
        candidates: list[Candidate],
        blobs: Sequence[Blob],
        sure: Sequence[Box],
        runs: Counter[str],
    ) -> list[Candidate]:
        """``candidates`` after second looks at those ``blobs`` that no box of a ``sure`` track explains."""
        whole = self.models.whole(picture.width, picture.height)
        if not whole:
            return candidates
        close = self.models.close()
        classified = self.models.classified
        classifier = self.models.classifier if classified else None
        blobs = self._unexplained(blobs, candidates, sure)[: self.policy.crops]
        for again in self.beside.map(lambda blob: up_close(close, classifier, picture, blob.box, classified), blobs):
            runs.update(each.name for each in (*close, *([classifier] if classifier else ())))
            if self._seen_before(again.box, picture, whole):
                missed = nothing_there(whole)
                again = replace(again, odds={group: (value + missed[group]) / 2 for group, value in again.odds.items()})
            candidates = _joined(candidates, again)
        return candidates

    def _seen_before(self, box: Box, picture: Picture, whole: Sequence[Detector]) -> bool:
        """Whether the whole frame showed this large, and with all the pixels there are: then a second look has little to add."""
        scale = min(whole[0].input_size[0] / picture.width, whole[0].input_size[1] / picture.height)
        side = min(box.width * picture.width, box.height * picture.height) * min(scale, 1.0)
        return 1 / scale < self.policy.no_gain and side > self.policy.large_px

    def _unexplained(self, blobs: Sequence[Blob], candidates: Sequence[Candidate], sure: Sequence[Box]) -> list[Blob]:
        """What moves where no sure track is, largest first."""
        seen = [
            expand(box, 1.2)
            for box in sure
            if any(iou(as_boxes([box]), as_boxes([each.box]))[0, 0] > 0.3 for each in candidates)
        ]
        blobs = [blob for blob in blobs if blob.box.area < self.policy.big_blob]
        if not seen or not blobs:
            return list(blobs)
        inside = covered(as_boxes([blob.box for blob in blobs]), as_boxes(seen)).max(1)
        return [blob for blob, share in zip(blobs, inside, strict=True) if share < 0.6]


def _joined(candidates: list[Candidate], close: Candidate) -> list[Candidate]:
    """A second look takes the place of what the whole frame showed of the same thing, and counts as half of the verdict."""
    if not candidates:
        return [close]
    overlaps = iou(as_boxes([close.box]), as_boxes([each.box for each in candidates]))[0]
    index = int(overlaps.argmax())
    if overlaps[index] < 0.4:
        return [*candidates, close]
    old = candidates[index]
    if old.strength < NOISE:
        return [*candidates[:index], close, *candidates[index + 1 :]]
    odds = {group: (value + old.odds[group]) / 2 for group, value in close.odds.items()}
    scores: dict[Group, dict[str, float]] = {group: dict(models) for group, models in old.scores.items()}
    for group, models in close.scores.items():
        for model, score in models.items():
            scores.setdefault(group, {})[model] = max(scores.get(group, {}).get(model, 0.0), score)
    return [*candidates[:index], Candidate(old.box, odds, scores, second_look=True), *candidates[index + 1 :]]

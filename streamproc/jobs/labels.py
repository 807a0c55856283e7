"""Label detection: what is to be seen, at two samples a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from streamproc.contracts import Detector
from streamproc.core.faces import DetectedFace, face_confidence
from streamproc.jobs.objects import LOOK, SeenObject, find_objects, one_body_each
from streamproc.jobs.persons import FindFaces
from streamproc.jobs.steps import coarse_step
from streamproc.jobs.taxonomy import Taxonomy, taxonomy
from streamproc.jobs.video import Sound, VideoFacts, VideoFrame

SAMPLES_A_SECOND = 2


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What StartLabelDetection may say. Filters match names, other names and categories, in any case of letters."""

    min_confidence: float = 50.0
    include_labels: Sequence[str] = ()
    exclude_labels: Sequence[str] = ()
    include_categories: Sequence[str] = ()
    exclude_categories: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Trait:
    """Something told of a face, without a box of its own."""

    name: str
    """man, woman or smile."""
    confidence: float


_TELLING_EYES_PX = 20.0
_TELLING_YAW = 45.0
_SURE_TRAIT = 75.0
"""Traits that the nets are less sure of are not told, whatever is asked: a coin that is tossed is right half the time too."""


def faces_of(found: Sequence[DetectedFace]) -> tuple[list[SeenObject], list[Trait]]:
    """Faces as objects, and what the attribute nets (where there are any) say of those that are large and frontal enough."""
    seen = [SeenObject("face", each.face.box, face_confidence(each.face.score)) for each in found]
    traits: list[Trait] = []
    for each in found:
        said, quality = each.attributes, each.quality
        if said is None or quality.eye_distance_px < _TELLING_EYES_PX or abs(quality.pose.yaw) > _TELLING_YAW:
            continue
        if said.male is not None:
            traits.append(Trait("man" if said.male >= 0.5 else "woman", 100 * max(said.male, 1 - said.male)))
        traits.append(Trait("smile", 100 * said.emotions.get("HAPPY", 0.0)))
    return seen, [trait for trait in traits if trait.confidence >= _SURE_TRAIT]


class LabelAnalysis:
    """Samples the video and remembers what was seen at each sample."""

    name = "labels"
    hears = False

    def __init__(
        self,
        options: LabelOptions,
        video: VideoFacts,
        detectors: Sequence[Detector],
        find_faces: FindFaces | None = None,
    ) -> None:
        # On the frames that are also looked at for persons and faces, so that one look serves all.
        self._step = coarse_step(video.rate)
        self._options = options
        self._detectors = detectors
        self._find_faces = find_faces
        self._taxonomy = taxonomy()
        self._slot = -1
        self._rows: list[tuple[int, list[SeenObject], list[Trait]]] = []

    def wants(self, index: int, at: Fraction) -> bool:
        return index % self._step == 0 and int(at * SAMPLES_A_SECOND) > self._slot

    def add(self, frame: VideoFrame) -> None:
        self._slot = int(frame.at * SAMPLES_A_SECOND)
        image = frame.picture.bgr(LOOK, LOOK)
        least = self._options.min_confidence
        seen = one_body_each(find_objects(self._detectors, image, least, frame.memo), least)
        faces, traits = faces_of(self._find_faces(frame)) if self._find_faces is not None else ([], [])
        seen += [face for face in faces if face.confidence >= least]
        self._rows.append((frame.milliseconds, seen, [trait for trait in traits if trait.confidence >= least]))

    def hear(self, sound: Sound) -> None:
        """Not asked for."""

    def take(self) -> Any:
        rows, self._rows = self._rows, []
        return rows or None

    def finish(self) -> None:
        """Nothing is open."""

    def snapshot(self) -> Any:
        return self._slot

    def restore(self, state: Any) -> None:
        self._slot = state

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        samples = [sample for part in rows for sample in part]
        labels = [
            label
            for ms, seen, traits in samples
            for label in labels_of(ms, seen, self._options, self._taxonomy, traits)
        ]
        return {"sampled_ms": [ms for ms, _, _ in samples], "labels": labels}


def labels_of(
    ms: int, seen: Sequence[SeenObject], options: LabelOptions, words: Taxonomy, traits: Sequence[Trait] = ()
) -> list[dict[str, Any]]:
    """The labels of one sample, by name: what was seen with its boxes, and traits and every broader label without."""
    found: dict[str, dict[str, Any]] = {}
    for thing in seen:
        label = words.of_class(thing.name)
        if label is None:
            continue
        own = found.setdefault(label.name, {"ms": ms, "name": label.name, "confidence": 0.0, "instances": []})
        own["instances"].append(
            {"box": [round(value, 6) for value in thing.box], "confidence": round(thing.confidence, 4)}
        )
        for name in (label.name, *label.parents):
            entry = found.setdefault(name, {"ms": ms, "name": name, "confidence": 0.0, "instances": []})
            entry["confidence"] = max(entry["confidence"], round(thing.confidence, 4))
    for trait in traits:
        label = words.of_class(trait.name)
        for name in (label.name, *label.parents) if label is not None else ():
            entry = found.setdefault(name, {"ms": ms, "name": name, "confidence": 0.0, "instances": []})
            entry["confidence"] = max(entry["confidence"], round(trait.confidence, 4))
    return [found[name] for name in sorted(found) if _passes(name, options, words)]


def _passes(name: str, options: LabelOptions, words: Taxonomy) -> bool:
    """Inclusion keeps what is named by label or category; then exclusion drops."""
    label = words.labels[name]
    names = {word.casefold() for word in (name, *label.aliases)}
    categories = {word.casefold() for word in label.categories}
    wanted = names & _folded(options.include_labels) or categories & _folded(options.include_categories)
    unwanted = names & _folded(options.exclude_labels) or categories & _folded(options.exclude_categories)
    everything = not options.include_labels and not options.include_categories
    return bool(everything or wanted) and not unwanted


def _folded(words: Sequence[str]) -> set[str]:
    return {word.casefold() for word in words}

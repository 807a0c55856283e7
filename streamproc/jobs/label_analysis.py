"""Label detection in stored video, at two samples a second."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from streamproc.core.faces import DetectedFace, face_confidence
from streamproc.jobs.person_analysis import FindFaces
from streamproc.jobs.steps import coarse_step
from streamproc.jobs.video import Sound, VideoFacts, VideoFrame
from streamproc.logic.structure import from_document, to_document
from streamproc.perception.objects import LOOK, ObjectFinder, SeenObject, one_body_each
from streamproc.perception.still_labels import LabelOptions, Trait, labels_of
from streamproc.perception.taxonomy import taxonomy

SAMPLES_A_SECOND = 2


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


_Sample = tuple[int, list[SeenObject], list[Trait]]
"""What one picture showed, and when (milliseconds)."""


class LabelAnalysis:
    """Samples the video and remembers what was seen at each sample."""

    name = "labels"
    hears = False

    def __init__(
        self,
        options: LabelOptions,
        video: VideoFacts,
        objects: ObjectFinder,
        find_faces: FindFaces | None = None,
    ) -> None:
        # On the frames that are also looked at for persons and faces, so that one look serves all.
        self._step = coarse_step(video.rate)
        self._options = options
        self._objects = objects
        self._find_faces = find_faces
        self._taxonomy = taxonomy()
        self._slot = -1
        self._rows: list[_Sample] = []

    def wants(self, index: int, at: Fraction) -> bool:
        return index % self._step == 0 and int(at * SAMPLES_A_SECOND) > self._slot

    def add(self, frame: VideoFrame) -> None:
        self._slot = int(frame.at * SAMPLES_A_SECOND)
        image = frame.picture.bgr(LOOK, LOOK)
        least = self._options.min_confidence
        seen = one_body_each(self._objects.find(image, least, frame.memo), least)
        faces, traits = faces_of(self._find_faces(frame)) if self._find_faces is not None else ([], [])
        seen += [face for face in faces if face.confidence >= least]
        self._rows.append((frame.milliseconds, seen, [trait for trait in traits if trait.confidence >= least]))

    def hear(self, sound: Sound) -> None:
        """Not asked for."""

    def take(self) -> Any:
        rows, self._rows = self._rows, []
        return to_document(rows) or None

    def finish(self) -> None:
        """Nothing is open."""

    def snapshot(self) -> Any:
        return self._slot

    def restore(self, state: Any) -> None:
        self._slot = from_document(int, state)

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        samples = [sample for part in rows for sample in from_document(list[_Sample], part)]
        labels = [
            label
            for ms, seen, traits in samples
            for label in labels_of(ms, seen, self._options, self._taxonomy, traits)
        ]
        return {"sampled_ms": [ms for ms, _, _ in samples], "duration_ms": video.duration_ms, "labels": labels}

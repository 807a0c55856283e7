"""Label detection in stored video, at two samples a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from streamproc.core.media import Image
from streamproc.jobs.person_analysis import FindFaces
from streamproc.jobs.steps import coarse_step
from streamproc.jobs.video import Sound, VideoFrame
from streamproc.jobs.video_facts import VideoFacts
from streamproc.logic.structure import from_document, to_document
from streamproc.perception.label_evidence import LEAST, Sample, over_samples
from streamproc.perception.objects import LOOK
from streamproc.perception.picture_claims import PictureModels, claims_in
from streamproc.perception.still_labels import LabelOptions, labels_of, say_unknown
from streamproc.perception.taxonomy import taxonomy

SAMPLES_A_SECOND = 2
_SCENE = (16, 9)
_OTHER_SCENE = 40.0
"""Mean difference (0..255) of two samples, shrunk to 16x9, from which they are taken for two scenes. Chosen, not measured."""


@dataclass
class _State:
    """What the next sample needs."""

    slot: int = -1
    scene: bytes = b""
    """The sample before, shrunk."""


class LabelAnalysis:
    """Samples the video and remembers what was seen at each sample."""

    name = "labels"
    hears = False

    def __init__(
        self,
        options: LabelOptions,
        video: VideoFacts,
        models: PictureModels,
        find_faces: FindFaces | None = None,
    ) -> None:
        # On the frames that are also looked at for persons and faces, so that one look serves all.
        self._step = coarse_step(video.rate)
        self._options = options
        self._models = models
        self._find_faces = find_faces
        self._taxonomy = taxonomy()
        self._state = _State()
        self._rows: list[Sample] = []
        say_unknown(options, self._taxonomy, own=(name for finder in models.words for name in finder.names))

    def wants(self, index: int, at: Fraction) -> bool:
        return index % self._step == 0 and int(at * SAMPLES_A_SECOND) > self._state.slot

    def add(self, frame: VideoFrame) -> None:
        image = frame.picture.bgr(LOOK, LOOK)
        faces = self._find_faces(frame) if self._find_faces is not None else []
        least = min(LEAST, self._options.min_confidence)
        claims = claims_in(self._models, image, least, faces=faces, memo=frame.memo)
        scene = _shrunk(image)
        self._rows.append(Sample(frame.milliseconds, tuple(claims), _differ(self._state.scene, scene)))
        self._state = _State(int(frame.at * SAMPLES_A_SECOND), scene)

    def hear(self, sound: Sound) -> None:
        """Not asked for."""

    def take(self) -> Any:
        rows, self._rows = self._rows, []
        return to_document(rows) or None

    def finish(self) -> None:
        """Nothing is open."""

    def snapshot(self) -> Any:
        return to_document(self._state)

    def restore(self, state: Any) -> None:
        self._state = from_document(_State, state)

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        samples = over_samples([sample for part in rows for sample in from_document(list[Sample], part)])
        labels = [
            label for sample in samples for label in labels_of(sample.ms, sample.claims, self._options, self._taxonomy)
        ]
        return {"sampled_ms": [sample.ms for sample in samples], "duration_ms": video.duration_ms, "labels": labels}


def _shrunk(image: Image) -> bytes:
    return np.asarray(cv2.resize(image, _SCENE, interpolation=cv2.INTER_AREA), np.uint8).tobytes()


def _differ(before: bytes, after: bytes) -> bool:
    """Whether two samples are of two scenes. Nothing before is none."""
    if not before:
        return False
    a, b = (np.frombuffer(each, np.uint8).astype(np.int16) for each in (before, after))
    return float(np.abs(a - b).mean()) > _OTHER_SCENE

"""How often a label that is told with some confidence is right: by band of confidence and by family (category).

Photographs and single moments of clips, of the half that nothing was fitted on, through everything that DetectLabels does (faces aside); and
labelled seconds of whole clips, at two samples a second with the evidence of neighbouring samples as in stored video. A label counts once a
picture. Told labels that nobody judged are counted apart, and neither right nor wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import cpu_seconds, progress
from benchmarks.label_truth import judged
from streamproc.core.media import Image
from streamproc.perception.claims import Claim
from streamproc.perception.label_evidence import LEAST, Sample, over_samples
from streamproc.perception.looks import STILL_LOOKS, VIDEO_LOOKS
from streamproc.perception.objects import LOOK, ObjectModels
from streamproc.perception.picture_claims import PictureModels, claims_in
from streamproc.perception.taxonomy import taxonomy
from streamproc.perception.word_finder import word_finder
from streamproc.vision.zoo import ModelZoo

BANDS = ((50, 60), (60, 70), (70, 80), (80, 90), (90, 101))
_TOLD = 50.0
_CLIP_LABELS = {"person": "Person", "cat": "Cat", "dog": "Dog", "vehicle": "Vehicle"}


@dataclass
class Tally:
    """Of told labels."""

    right: int = 0
    wrong: int = 0
    unjudged: int = 0
    missed: int = 0
    """True, and not told."""
    confidence: list[float] = field(default_factory=list)

    def row(self, of: str, name: str) -> dict[str, Any]:
        told, true = self.right + self.wrong, self.right + self.missed
        return {
            "of": of,
            "name": name,
            "told": told,
            "confidence": round(float(np.mean(self.confidence)) / 100, 3) if self.confidence else None,
            "precision": round(self.right / told, 3) if told else None,
            "recall": round(self.right / true, 3) if self.missed or self.right else None,
            "unjudged": self.unjudged,
        }


@dataclass
class Bands:
    """Tallies by band and by family."""

    bands: dict[str, Tally] = field(default_factory=lambda: {f"{low}-{min(high, 100)}": Tally() for low, high in BANDS})
    families: dict[str, Tally] = field(default_factory=dict)

    def count(self, told: Mapping[str, float], true: set[str], false: set[str]) -> None:
        """One picture: labels with their confidence, labels that are true of it and labels that are not."""
        labels = taxonomy().labels
        for name, sure in told.items():
            if sure < _TOLD:
                continue
            band = next(f"{low}-{min(high, 100)}" for low, high in BANDS if low <= sure < high)
            for tally in (self.bands[band], self._family(labels[name].categories[0])):
                if name in true or name in false:
                    tally.right += name in true
                    tally.wrong += name in false
                    tally.confidence.append(sure)
                else:
                    tally.unjudged += 1
        for name in true:
            if told.get(name, 0.0) < _TOLD and name in labels:
                self._family(labels[name].categories[0]).missed += 1

    def _family(self, name: str) -> Tally:
        return self.families.setdefault(name, Tally())

    def rows(self, of: str) -> Iterator[dict[str, Any]]:
        for name, tally in self.bands.items():
            row = tally.row(of, name)
            yield row | {"recall": None}
        for name, tally in sorted(self.families.items()):
            yield tally.row(of, name)


def confidences(claims: Iterable[Claim]) -> dict[str, float]:
    """Each label, broader ones too, with its highest confidence."""
    labels = taxonomy().labels
    found: dict[str, float] = {}
    for claim in claims:
        for name in (claim.label, *labels[claim.label].parents):
            found[name] = max(found.get(name, 0.0), claim.confidence)
    return found


def measure(corpus: Path, zoo: ModelZoo, classifier: str | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows by band and family of pictures and of clips; figures. ``classifier``: by name; None: the first that can be had."""
    chosen = zoo.classifier(classifier) if classifier else zoo.first_classifier(zoo.profile().verifier)
    objects = ObjectModels(lambda: zoo)
    finder_of_words = word_finder(chosen)
    words = () if finder_of_words is None else (finder_of_words,)
    pictures = [each for each in judged(corpus) if each.held_out]
    progress(f"{len(pictures)} pictures, {chosen.name}")
    stills, took = Bands(), {"words": 0.0, "objects": 0.0}
    for picture in pictures:
        image = picture.read(corpus)
        finder = objects.finder(image.shape[1], image.shape[0])
        memo: dict[str, Any] = {}
        start = cpu_seconds()
        claims_in(PictureModels(finder), image, _TOLD, memo=memo)
        middle = cpu_seconds()
        claims = claims_in(PictureModels(finder, words, VIDEO_LOOKS), image, _TOLD, memo=memo)
        took["objects"] += middle - start
        took["words"] += cpu_seconds() - middle
        claims = claims_in(PictureModels(finder, words, STILL_LOOKS), image, _TOLD, memo=memo)
        stills.count(confidences(claims), picture.true, picture.false)
    clips = _clips(corpus, objects)
    objects.close()
    figures = {
        "classifier": chosen.name,
        "pictures": len(pictures),
        "cpu_ms_objects": round(1000 * took["objects"] / len(pictures), 1),
        f"cpu_ms_words_{VIDEO_LOOKS}_looks": round(1000 * took["words"] / len(pictures), 1),
    }
    return [*stills.rows("pictures"), *clips.rows("clips")], figures


def _clips(corpus: Path, objects: ObjectModels) -> Bands:
    """Person, Cat, Dog and Vehicle at each labelled second of the corpus's clips that was not marked as uncertain."""
    bands = Bands()
    for path in sorted((corpus / "truth").glob("*.json")):
        truth = json.loads(path.read_text(encoding="utf-8"))
        video = corpus / "video" / truth["video"]
        samples = over_samples(_samples(video, objects))
        told = {sample.ms: confidences(sample.claims) for sample in samples}
        for second in truth["seconds"]:
            nearest = min(told, key=lambda ms: abs(ms - 1000 * second["t"]))
            considered = set(truth.get("labels_considered", ("person", "cat", "dog")))
            known = (considered & set(_CLIP_LABELS)) - set(second.get("uncertain", ()))
            true = {_CLIP_LABELS[name] for name in known if name in second["labels"]}
            false = {_CLIP_LABELS[name] for name in known} - true
            asked = {name: sure for name, sure in told[nearest].items() if name in true | false}
            bands.count(asked, true, false)
    return bands


def _samples(path: Path, objects: ObjectModels) -> list[Sample]:
    """Two a second."""
    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    samples: list[Sample] = []
    index, slot = 0, -1
    while video.grab():
        if int(2 * index / rate) > slot:
            slot = int(2 * index / rate)
            image = _as_large(video.retrieve()[1])
            finder = objects.finder(image.shape[1], image.shape[0])
            samples.append(Sample(int(1000 * index / rate), tuple(claims_in(PictureModels(finder), image, LEAST))))
        index += 1
    return samples


def _as_large(image: Image) -> Image:
    scale = LOOK / max(image.shape[:2])
    return (
        image if scale >= 1 else np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    )

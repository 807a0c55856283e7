"""Pictures of the corpus whose labels are known, and in which half each is.

``truth/labels.json`` beside this file was judged by eye: what an ImageNet classifier or the scene rules said of the corpus's photographs
and of three moments of each clip, true or false of the picture (``KEY``: path in the corpus, ``@SHARE`` of the clip's frames). What nobody
said there was not judged. Photographs of coco_val and voc have their data sets' own objects besides: there each class that is not marked is
absent. One half of the pictures is for fitting, the other for scores; moments of one clip, and photographs of one doorstep, are in one half.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import read_photo
from streamproc.core.media import Image
from streamproc.perception.objects import LOOK
from streamproc.perception.taxonomy import taxonomy

_TRUTH = Path(__file__).with_name("truth") / "labels.json"
_SETS = ("coco_val", "voc")
_VOC = [
    "person",
    "bird",
    "cat",
    "cow",
    "dog",
    "horse",
    "sheep",
    "airplane",
    "bicycle",
    "boat",
    "bus",
    "car",
    "motorcycle",
    "train",
    "bottle",
    "chair",
    "couch",
    "tv",
]
_VOC_CLASSES = (*_VOC, "dining table", "potted plant")


@dataclass
class Judged:
    """One picture. A label that is neither true nor false was not judged."""

    key: str
    true: set[str] = field(default_factory=set)
    false: set[str] = field(default_factory=set)

    @property
    def held_out(self) -> bool:
        """Not used for fitting."""
        group = self.key.split("@")[0]
        if group.startswith("images/packages/"):
            group = group[: len("images/packages/") + 12]
        return bool(hashlib.sha256(group.encode()).digest()[-1] % 2)

    def read(self, corpus: Path) -> Image:
        """The picture, as large as the detectors are given it."""
        path, _, share = self.key.partition("@")
        if not share:
            image = read_photo(corpus / path)
        else:
            video = cv2.VideoCapture(str(corpus / path))
            video.set(cv2.CAP_PROP_POS_FRAMES, int(video.get(cv2.CAP_PROP_FRAME_COUNT) * float(share)))
            _, frame = video.read()
            image = np.asarray(frame, np.uint8)
        scale = LOOK / max(image.shape[:2])
        if scale < 1:
            image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        return image


def judged(corpus: Path) -> list[Judged]:
    """Every picture with any truth, by key."""
    document = json.loads(_TRUTH.read_text(encoding="utf-8"))
    found = {key: Judged(key, set(entry["true"]), set(entry["false"])) for key, entry in document.items()}
    for name in _SETS:
        for key, present, absent in _marked(corpus / "images" / name):
            one = found.setdefault(f"images/{name}/{key}", Judged(f"images/{name}/{key}"))
            one.true |= present
            one.false = (one.false | absent) - one.true
    return [found[key] for key in sorted(found) if (corpus / key.partition("@")[0]).is_file()]


def _marked(folder: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """Name, labels present with all that is above them, and labels absent, of each photograph with marked objects."""
    from benchmarks.labels import VOC_NAMES, read_coco

    if not folder.is_dir():
        return
    words = taxonomy()
    names = {VOC_NAMES.get(name, name) for name in _VOC_CLASSES} if folder.name == "voc" else None
    for photo in read_coco(folder):
        present: set[str] = set()
        for each in (*photo.truth, *photo.crowds):
            label = words.of_class(each)
            if label is not None:
                present |= {label.name, *label.parents}
        known = {words.models[name] for name in words.models if names is None or name in names}
        yield photo.path.name, present, known & _coco_labels() - present


def _coco_labels() -> set[str]:
    from streamproc.vision.names import COCO

    words = taxonomy()
    return {words.models[name] for name in COCO}

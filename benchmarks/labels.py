"""How well the default detectors, merged, find what photographs hold: AP50 and recall per class.

Photographs with boxes: CORPUS/images/coco_val and voc (COCO's instances.json), CORPUS/images/packages (YOLO text files,
class 0 is a package). ``map50`` is the mean of AP at IoU 0.5 over the classes of coco_val and voc that the detectors have names
for; crowd regions are neither asked for nor held against a detector. ``recall_CLASS`` is the share found at a score of 0.3.
``--bands`` measures what DetectLabels and stored video tell instead (``label_bands``).
A package counts as found where a proposal covers it (IoU 0.4) and the classifier's package classes sum to 0.3.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import parser, prepared, progress, read_photo, report
from streamproc.contracts import Detector
from streamproc.core.media import Image
from streamproc.core.vision import Box, Detections
from streamproc.logic.boxes import iou, nms
from streamproc.perception.detect import common_name, merged
from streamproc.vision.align import square_crop
from streamproc.vision.zoo import ModelZoo, open_zoo

VOC_NAMES = {
    "pottedplant": "potted plant",
    "motorbike": "motorcycle",
    "tvmonitor": "tv",
    "aeroplane": "airplane",
    "sofa": "couch",
    "diningtable": "dining table",
}
PACKAGE_WORDS = ("carton", "crate", "envelope", "packet", "mailbag", "chest", "safe", "shopping basket", "plastic bag")
SCORE = 0.3
LEAST = 0.01


@dataclass
class Photo:
    """One photograph and its truth: boxes (N, 4) in 0..1 by class, and regions where nothing is counted."""

    path: Path
    truth: dict[str, np.ndarray]
    crowds: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Score:
    """Of one class, over all photographs: each detection's score and whether it was right, and how many there were."""

    found: list[tuple[float, bool]] = field(default_factory=list)
    total: int = 0

    def recall(self, least: float) -> float:
        return sum(right for score, right in self.found if score >= least) / max(1, self.total)

    def average_precision(self) -> float:
        """Area under the precision envelope, every point."""
        right = np.array([hit for _, hit in sorted(self.found, key=lambda each: -each[0])], bool)
        if not right.any():
            return 0.0
        hits = right.cumsum()
        precision = np.maximum.accumulate((hits / np.arange(1, len(right) + 1))[::-1])[::-1]
        return float(precision[right].sum() / self.total)


def read_coco(folder: Path) -> list[Photo]:
    """COCO's instances.json beside its photographs."""
    document = json.loads((folder / "instances.json").read_text())
    names = {each["id"]: VOC_NAMES.get(each["name"], each["name"]) for each in document["categories"]}
    photos = []
    for entry in document["images"]:
        boxes: dict[bool, dict[str, list[list[float]]]] = {False: defaultdict(list), True: defaultdict(list)}
        for mark in document["annotations"]:
            if mark["image_id"] == entry["id"]:
                x, y, w, h = mark["bbox"]
                corners = [x / entry["width"], y / entry["height"], (x + w) / entry["width"], (y + h) / entry["height"]]
                boxes[bool(mark.get("iscrowd"))][names[mark["category_id"]]].append(corners)
        truth, crowds = (
            {name: np.array(rows, np.float32) for name, rows in boxes[kind].items()} for kind in (False, True)
        )
        photos.append(Photo(folder / entry["file_name"], truth, crowds))
    return photos


def read_packages(folder: Path) -> list[Photo]:
    """A YOLO text file beside each photograph."""
    photos = []
    for path in sorted(folder.glob("*.jpg")):
        text = path.with_suffix(".txt")
        rows = [[float(word) for word in line.split()] for line in text.read_text().splitlines() if line.strip()]
        centres = np.array([row[1:5] for row in rows], np.float32).reshape(-1, 4)
        half = centres[:, 2:] / 2
        photos.append(Photo(path, {"package": np.concatenate([centres[:, :2] - half, centres[:, :2] + half], 1)}))
    return photos


def judge(score: Score, found: Detections, truth: np.ndarray, crowds: np.ndarray, overlap: float = 0.5) -> None:
    """Match the detections of one class in one photograph, surest first, each truth once."""
    score.total += len(truth)
    free = np.ones(len(truth), bool)
    overlaps = iou(found.boxes, truth) if len(truth) else np.zeros((len(found), 0))
    for row in np.argsort(-found.scores, kind="stable"):
        candidates = np.where(free, overlaps[row], 0)
        if len(candidates) and candidates.max() >= overlap:
            free[candidates.argmax()] = False
            score.found.append((float(found.scores[row]), True))
        elif not _in_crowd(found.boxes[row], crowds):
            score.found.append((float(found.scores[row]), False))


def _in_crowd(box: np.ndarray, crowds: np.ndarray) -> bool:
    if not len(crowds):
        return False
    sides = np.maximum(np.minimum(box[2:], crowds[:, 2:]) - np.maximum(box[:2], crowds[:, :2]), 0)
    area = max(float(np.prod(box[2:] - box[:2])), 1e-9)
    return bool((sides.prod(1) / area).max() > 0.5)


def measure_classes(photos: Iterable[Photo], detectors: Sequence[Detector]) -> dict[str, Score]:
    """Every class that the detectors have a name for."""
    known = {common_name(name) for detector in detectors for name in detector.names}
    scores: dict[str, Score] = defaultdict(Score)
    for photo in photos:
        image = read_photo(photo.path)
        found = merged([detector.detect(image, LEAST) for detector in detectors])
        for name in known & ({found.name(row) for row in range(len(found))} | photo.truth.keys()):
            rows = np.array([row for row in range(len(found)) if found.name(row) == name], np.intp)
            nothing = np.zeros((0, 4), np.float32)
            judge(scores[name], found.take(rows), photo.truth.get(name, nothing), photo.crowds.get(name, nothing))
    return scores


class Packages:
    """Class-free proposals that an ImageNet classifier verifies."""

    def __init__(self, zoo: ModelZoo) -> None:
        self._femto, self._localizer, self._ssd = (
            zoo.detector(name) for name in ("deimv2_femto", "mobile_object_localizer", "ssd_oidv4")
        )
        self._classifier = zoo.classifier()
        names = [name.split(",")[0] for name in self._classifier.names]
        self._family = [index for index, name in enumerate(names) if name in PACKAGE_WORDS]

    def detect(self, image: Image) -> Detections:
        """Boxes named package; the score is the summed probability of the package classes."""
        box = self._ssd.detect(image, 0.1)
        parts = [
            self._femto.detect(image, 0.1),
            self._localizer.detect(image, 0.15),
            box.take([row for row in range(len(box)) if box.name(row) == "Box"]),
        ]
        boxes, scores = np.concatenate([part.boxes for part in parts]), np.concatenate([part.scores for part in parts])
        boxes = boxes[nms(boxes, scores, 0.6)]
        sure = np.array([self._sum(image, Box(*map(float, each))) for each in boxes], np.float32)
        return Detections(boxes, sure, np.zeros(len(boxes), np.int32), ("package",))

    def _sum(self, image: Image, box: Box) -> float:
        crops = (square_crop(image, box.clipped(), factor)[0] for factor in (1.0, 1.3))
        return max(float(self._classifier.classify(crop)[self._family].sum()) for crop in crops)


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument(
        "--bands", action="store_true", help="precision and recall of all labels by confidence and family instead"
    )
    asked.add_argument("--classifier", help="with --bands: this one instead of the first that can be had")
    options = prepared(asked.parse_args())
    zoo = open_zoo(workers=1)
    if options.bands:
        from benchmarks.label_bands import measure

        rows, figures = measure(options.corpus, zoo, options.classifier)
        report(options, figures=figures, rows=rows)
        return
    objects_report(options, zoo)


def objects_report(options: argparse.Namespace, zoo: ModelZoo) -> None:
    """AP50 and recall per class of the detectors."""
    images: Path = options.corpus / "images"
    photos = [photo for name in ("coco_val", "voc") if (images / name).is_dir() for photo in read_coco(images / name)]
    everyone = [zoo.person_detector(), *zoo.those_had(["deimv2_femto", "ssd_oidv4"])]
    progress(f"{len(photos)} photographs, {', '.join(detector.name for detector in everyone)}")
    scores = measure_classes(photos, everyone)
    asked = {name: score for name, score in sorted(scores.items()) if score.total}
    figures: dict[str, Any] = {"map50": round(float(np.mean([each.average_precision() for each in asked.values()])), 4)}
    for detector in everyone[:2]:
        alone = measure_classes(photos, [detector])
        values = [alone[name].average_precision() for name in asked if name in alone]
        figures[f"map50_{detector.name}"] = round(float(np.mean(values)), 4)
    rows: list[dict[str, Any]] = [
        {
            "class": name,
            "objects": score.total,
            "ap50": round(score.average_precision(), 3),
            "recall": round(score.recall(SCORE), 3),
            "false": sum(not right for sure, right in score.found if sure >= SCORE),
        }
        for name, score in asked.items()
    ]
    if (images / "packages").is_dir():
        rows.append(package_row(zoo, read_packages(images / "packages"), photos))
    figures |= {f"recall_{row['class']}": row["recall"] for row in rows}
    report(options, figures=figures, rows=rows)


def package_row(zoo: ModelZoo, with_packages: Sequence[Photo], without: Sequence[Photo]) -> dict[str, Any]:
    """Recall on photographs of packages; ``false`` counts boxes on those that hold none."""
    progress(f"{len(with_packages)} photographs of packages")
    packages, score, nothing = Packages(zoo), Score(), np.zeros((0, 4), np.float32)
    for photo in with_packages:
        judge(score, packages.detect(read_photo(photo.path)), photo.truth["package"], nothing, overlap=0.4)
    quiet = Score()
    for photo in without:
        judge(quiet, packages.detect(read_photo(photo.path)), nothing, nothing)
    return {
        "class": "package",
        "objects": score.total,
        "ap50": None,
        "recall": round(score.recall(SCORE), 3),
        "false": sum(sure >= SCORE for sure, _ in quiet.found),
    }


if __name__ == "__main__":
    main()

"""What a detector's score is worth, fitted on photographs with a part held out, and which detectors together see most for their cost.

Photographs: CORPUS/images/coco_val and voc, whole frames, every detector once at the size that live frames get.

First table: for each detector and class a logistic fit of "this box is right" (IoU 0.5) on the score's log-odds. ``neutral`` is the score at which
a box is right half of the time, ``spread`` the standard deviation of slope and neutral over five fits that each leave a fifth of the photographs out,
``held_out`` the mean log-loss on those fifths and ``in_use`` that of the vote of ``core.classes``. The votes in use lie higher on purpose: a camera mostly
shows nothing, photographs mostly show something. ``shifted`` puts that same distance (the mean of the detectors that were set by hand) on top of the fit.

Second table: sets of detectors by their joint evidence (``logic.evidence``): AP50 of people and pets, recall of people at 0.3 false boxes a
photograph, and CPU milliseconds a photograph in this run, in all and beside the first row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.common import parser, prepared, progress, read_photo, report
from benchmarks.labels import Photo, Score, judge, read_coco
from streamproc.contracts import Detector
from streamproc.core.classes import Group, Vote
from streamproc.core.vision import Detections
from streamproc.logic.evidence import FRAME_VOTES, family, logit
from streamproc.perception.candidates import in_frame
from streamproc.perception.detect import by_group
from streamproc.perception.label_models import SQUARE, TALL, WIDE
from streamproc.vision.zoo import ModelZoo, open_zoo

DETECTORS = ("yolox_nano", "nanodet_g", "deimv2_femto", "ssd_oidv4")
CLASSES = {Group.PERSON: ("person",), Group.PET: ("cat", "dog")}
FOLDS = 5
LEAST = 0.05
_NONE = np.zeros((0, 4), np.float32)


@dataclass
class Look:
    """What the detectors found in one photograph."""

    photo: Photo
    found: dict[str, Detections]
    detectors: dict[str, Detector]
    cpu_ms: dict[str, float]

    def truth(self, group: Group, *, crowds: bool = False) -> np.ndarray:
        boxes = self.photo.crowds if crowds else self.photo.truth
        return np.concatenate([boxes.get(name, _NONE) for name in CLASSES[group]])


def look(photo: Photo, zoo: ModelZoo) -> Look:
    """Every detector on the photograph."""
    image = read_photo(photo.path)
    shape = image.shape[1] / image.shape[0]
    size = WIDE if shape > 1.25 else TALL if shape < 0.8 else SQUARE
    detectors = {name: zoo.detector(name, size) for name in DETECTORS}
    found, cpu = {}, {}
    for name, detector in detectors.items():
        before = time.process_time()  # finer than the tenths of os.times
        found[name] = detector.detect(image, LEAST)
        cpu[name] = (time.process_time() - before) * 1000
    return Look(photo, found, detectors, cpu)


def judged(some: Look, name: str, group: Group) -> list[tuple[float, bool]]:
    """Score of each box of the class and whether it is right."""
    score = Score()
    found = by_group(some.found[name]).get(group)
    if found is not None:
        judge(score, found, some.truth(group), some.truth(group, crowds=True))
    return score.found


def fit(pairs: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """(slope, neutral) of a logistic regression by Newton's steps, held a little (a prior of slope 1 and neutral 0.3)."""
    x = np.array([logit(score) for score, _ in pairs])
    y = np.array([float(right) for _, right in pairs])
    features = np.stack([x, np.ones(len(x))], 1)
    start = np.array([1.0, -logit(0.3)])
    weights = start.copy()
    held = np.diag([1.0, 1.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-features @ weights))
        gradient = features.T @ (p - y) + held @ (weights - start)
        hessian = features.T @ (features * (p * (1 - p))[:, None]) + held
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    slope = max(0.05, float(weights[0]))
    return slope, float(1 / (1 + np.exp(weights[1] / slope)))


def loss(pairs: Sequence[tuple[float, bool]], slope: float, neutral: float) -> float:
    """Mean log-loss of a vote taken as a probability."""
    if not pairs:
        return 0.0
    x = np.array([slope * (logit(score) - logit(neutral)) for score, _ in pairs])
    y = np.array([right for _, right in pairs])
    return float(np.logaddexp(0, np.where(y, -x, x)).mean())


def votes(looks: Sequence[Look]) -> Iterator[dict[str, Any]]:
    """A row for each detector and class."""
    for group in CLASSES:
        rows = [_vote(looks, name, group) for name in DETECTORS]
        by_hand = [row for row in rows if row["detector"] != "nanodet_g"]
        steeper = float(np.mean([row["use_slope"] / row["slope"] for row in by_hand]))
        higher = float(np.mean([logit(row["use_neutral"]) - logit(row["neutral"]) for row in by_hand]))
        for row in rows:
            neutral = 1 / (1 + np.exp(-(logit(row["neutral"]) + higher)))
            yield row | {"shifted": f"{row['slope'] * steeper:.2f} {neutral:.2f}"}


def _vote(looks: Sequence[Look], name: str, group: Group) -> dict[str, Any]:
    pairs = [judged(each, name, group) for each in looks]
    parts, losses = [], []
    for fold in range(FOLDS):
        parts.append(fit([pair for index, some in enumerate(pairs) if index % FOLDS != fold for pair in some]))
        losses.append([loss(some, *parts[-1]) for index, some in enumerate(pairs) if index % FOLDS == fold and some])
    every = [pair for some in pairs for pair in some]
    slope, neutral = fit(every)
    used = FRAME_VOTES[group].get(family(name), Vote(1.0, 0.35))
    spread = np.std(np.array(parts), axis=0)
    return {
        "class": str(group),
        "detector": name,
        "boxes": len(every),
        "slope": round(slope, 2),
        "neutral": round(neutral, 2),
        "spread": f"{spread[0]:.2f} {spread[1]:.2f}",
        "held_out": round(float(np.mean([each for some in losses for each in some])), 3),
        "in_use": round(float(np.mean([loss(some, used.slope, used.neutral) for some in pairs if some])), 3),
        "use_slope": used.slope,
        "use_neutral": used.neutral,
    }


def sets(looks: Sequence[Look]) -> Iterator[dict[str, Any]]:
    """A row for each set of one to four detectors, the cheapest first."""
    chosen = [names for size in range(1, len(DETECTORS) + 1) for names in combinations(DETECTORS, size)]
    rows = [_set(looks, names) for names in chosen]
    first = next(row["cpu_ms"] for row in rows if row["detectors"] == DETECTORS[0])
    for row in sorted(rows, key=lambda row: row["cpu_ms"]):
        yield row | {"cost": round(row["cpu_ms"] / first, 2)}


def _set(looks: Sequence[Look], names: Sequence[str]) -> dict[str, Any]:
    scores = {group: Score() for group in CLASSES}
    for each in looks:
        detectors = [each.detectors[name] for name in names]
        candidates = in_frame(detectors, [each.found[name] for name in names])
        for group, score in scores.items():
            boxes = np.array([list(one.box) for one in candidates], np.float32).reshape(-1, 4)
            odds = np.array([one.odds[group] for one in candidates], np.float32)
            mine = Detections(boxes, odds, np.zeros(len(odds), np.int32), (str(group),))
            judge(score, mine, each.truth(group), each.truth(group, crowds=True))
    people = scores[Group.PERSON]
    return {
        "detectors": " ".join(names),
        "person_ap50": round(people.average_precision(), 3),
        "person_recall": round(recall_at(people, 0.3 * len(looks)), 3),
        "pet_ap50": round(scores[Group.PET].average_precision(), 3),
        "cpu_ms": round(sum(float(np.median([each.cpu_ms[name] for each in looks])) for name in names), 1),
    }


def recall_at(score: Score, false: float) -> float:
    """Recall at the threshold that lets ``false`` wrong boxes through."""
    right = wrong = 0
    for _, hit in sorted(score.found, key=lambda each: -each[0]):
        right, wrong = right + hit, wrong + (not hit)
        if wrong > false:
            break
    return right / max(1, score.total)


def main() -> None:
    options = prepared(parser(__doc__).parse_args())
    zoo = open_zoo(workers=1)
    folders = [options.corpus / "images" / name for name in ("coco_val", "voc")]
    looks = [look(photo, zoo) for folder in folders if folder.is_dir() for photo in read_coco(folder)]
    progress(f"{len(looks)} photographs")
    first = [{key: value for key, value in row.items() if not key.startswith("use_")} for row in votes(looks)]
    rows = list(sets(looks))
    figures = {f"{row['class']}_{row['detector']}": f"{row['slope']} {row['neutral']}" for row in first}
    report(options, figures=figures, rows=[*first, *rows])


if __name__ == "__main__":
    main()

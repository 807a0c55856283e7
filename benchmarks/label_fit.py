"""Fit what a classifier's share for a label is worth, and write ``streamproc/perception/calibration.yaml``.

A logistic regression with a ridge on the pictures of the fitting half (``label_truth``), one row for each label and kind of look of a
picture: its surest. Families (categories) with ten judged rows and more have a term of their own; all others get the mean of these terms
less their spread, and a cap: most of ImageNet's rarer classes are in none of these pictures, so whenever one was told it was wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import arguments, progress
from benchmarks.label_truth import Judged, judged
from streamproc.perception.calibration import TERMS, Evidence
from streamproc.perception.claims import claims_of
from streamproc.perception.looks import STILL_LOOKS, plan
from streamproc.perception.objects import ObjectModels
from streamproc.perception.scenes import scene_signs
from streamproc.perception.taxonomy import taxonomy
from streamproc.perception.word_finder import crop_of, evidence_of
from streamproc.perception.word_sums import word_sums
from streamproc.vision.zoo import ModelZoo, open_zoo

CLASSIFIERS = ("mobilenet_v2", "efficientnet_lite0")
TARGET = Path("streamproc/perception/calibration.yaml")
SCENE_TERMS = ("shares", "even", "objects")
_ENOUGH = 10
_CAP = 75.0
_RIDGE = 1.0
_FREE = 0.05
_AS_IT_SAYS = (1.0, 100.0)
"""The share's weight is drawn to one, strongly: on ImageNet's own pictures a share is about the probability, and the pictures here are few.
Of ridges from 0.05 to 100 this has the least loss on the other half with MobileNetV2 (0.411 against 0.417), and changes nothing with the other."""
Rows = list[tuple[Evidence, bool]]
Scenes = list[tuple[list[float], bool]]
Floats = npt.NDArray[np.float64]


@dataclass
class Material:
    """Evidence and truth for one classifier."""

    rows: Rows = field(default_factory=list)
    scenes: Scenes = field(default_factory=list)
    """Terms of ``SceneSigns``, and whether it is indoors."""


def rows_of(pictures: list[Judged], corpus: Path, zoo: ModelZoo) -> dict[str, Material]:
    """By classifier."""
    words, sums = taxonomy(), word_sums()
    objects = ObjectModels(lambda: zoo)
    found = {name: Material() for name in CLASSIFIERS}
    for picture in pictures:
        image = picture.read(corpus)
        height, width = image.shape[:2]
        claims = claims_of(objects.finder(width, height).find(image, 20.0), words)
        seen = {claim.label for claim in claims}
        looks = [(look, crop_of(image, look)) for look in plan(claims, width, height, STILL_LOOKS)]
        for name in CLASSIFIERS:
            classifier = zoo.classifier(name)
            best: dict[tuple[str, str], Evidence] = {}
            for look, crop in looks:
                shares = classifier.classify(crop)
                if look.of is None and {"Indoors", "Outdoors"} & picture.true:
                    terms = list(scene_signs().terms(shares, claims).values())
                    found[name].scenes.append((terms, "Indoors" in picture.true))
                for each in evidence_of(look, shares, seen, words, sums):
                    key = (each.label, "part" if each.kind.part else str(each.kind))
                    if key not in best or each.share > best[key].share:
                        best[key] = each
            found[name].rows += [
                (each, each.label in picture.true)
                for each in best.values()
                if each.label in picture.true or each.label in picture.false
            ]
    objects.close()
    return found


def fitted(material: Material) -> dict[str, object]:
    """The entry of one classifier."""
    rows = material.rows
    scenes = _regression(
        np.array([terms for terms, _ in material.scenes]), np.array([y for _, y in material.scenes], np.float64)
    )
    labels = taxonomy().labels
    counts = Counter(category for each, _ in rows for category in labels[each.label].categories)
    families = sorted(name for name, count in counts.items() if count >= _ENOUGH)
    inputs = np.array(
        [
            [*each.terms().values(), *(float(name in labels[each.label].categories) for name in families)]
            for each, _ in rows
        ]
    )
    weights = _regression(inputs, np.array([right for _, right in rows], np.float64), _AS_IT_SAYS)
    own = weights[len(TERMS) :]
    return {
        "weights": {name: round(float(value), 2) for name, value in zip(TERMS, weights, strict=False)},
        "families": {name: round(float(value), 2) for name, value in zip(families, own, strict=True)},
        "unknown": round(float(own.mean() - own.std()), 2),
        "cap": _CAP,
        "scene": {name: round(float(value), 2) for name, value in zip(SCENE_TERMS, scenes, strict=True)},
    }


def _regression(inputs: Floats, right: Floats, first: tuple[float, float] = (0.0, _FREE)) -> Floats:
    """Newton's method. ``first``: what the first weight is drawn to and how strongly; the second is nearly free, the rest drawn to zero."""
    ridge, prior = np.full(inputs.shape[1], _RIDGE), np.zeros(inputs.shape[1])
    prior[0], ridge[0], ridge[1] = first[0], first[1], _FREE
    weights = prior.copy()
    for _ in range(50):
        sure = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (sure - right) + ridge * (weights - prior)
        weights -= np.linalg.solve((inputs.T * (sure * (1 - sure))) @ inputs + np.diag(ridge), slope)
    return weights


def write(entries: dict[str, dict[str, object]], target: Path, pictures: int) -> None:
    lines = [
        f"# Written by python -m benchmarks.label_fit, from {pictures} judged pictures. perception/calibration.py says what it means."
    ]
    for name, entry in entries.items():
        lines += ["", f"{name}:"]
        for key, value in entry.items():
            if isinstance(value, dict):
                lines += [f"  {key}:", *(f"    {each}: {number}" for each, number in value.items())]
            else:
                lines.append(f"  {key}: {value}")
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    options = arguments(__doc__)
    pictures = [each for each in judged(options.corpus) if not each.held_out]
    progress(f"{len(pictures)} pictures to fit on")
    rows = rows_of(pictures, options.corpus, open_zoo(workers=2))
    write({name: fitted(some) for name, some in rows.items()}, TARGET, len(pictures))
    for name, some in rows.items():
        progress(f"{name}: {len(some.rows)} judged labels, {sum(right for _, right in some.rows)} right")


if __name__ == "__main__":
    main()

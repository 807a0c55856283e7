"""Where an image classifier is right half of the time about packages, fitted with a part of the photographs held out.

Photographs: CORPUS/images/packages (right: a proposal that covers a package, IoU 0.4), coco_val and voc, which hold none (all wrong). Each
classifier judges its profile's proposals by the mean log-odds of four crops (``perception.parcels``). ``neutral``, ``spread`` and
``held_out`` are as in ``benchmarks.votes``; ``recall`` is the share of packages whose best proposal is at or above the point in use, ``false`` the
proposals a photograph without packages that are. ``shifted`` puts the distance between fit and use of mobilenet_v2 on top of the fit: a camera
mostly shows no package.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import parser, prepared, progress, read_photo, report
from benchmarks.labels import Photo, read_coco, read_packages
from benchmarks.votes import FOLDS, fit, loss
from streamproc.core.vision import Box
from streamproc.logic.boxes import iou
from streamproc.logic.evidence import BeliefPolicy, logit
from streamproc.media.picture import ArrayPicture
from streamproc.perception.parcels import ParcelSearch
from streamproc.vision.zoo import ModelZoo, open_zoo

CASES = (("default", "mobilenet_v2"), ("default", "efficientnet_lite0"), ("registry", "efficientnet_lite0"))
"""Whose proposals, and the classifier that judges them."""
COVERS = 0.4


@dataclass
class Judged:
    """One photograph: each proposal's share and whether it is a package, and the best share of each package."""

    pairs: list[tuple[float, bool]] = field(default_factory=list)
    best: list[float] = field(default_factory=list)


def judged(search: ParcelSearch, photo: Photo) -> Judged:
    """Every proposal of a photograph, as the product verifies the first ``ask`` of them."""
    image = read_photo(photo.path)
    scale = min(1.0, 1280 / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = ArrayPicture(np.asarray(small, np.uint8))
    boxes = search.proposed(picture, {}, Counter()).boxes[: search.policy.ask]
    shares = [search.share(picture, Box(*box.tolist()).clipped())[0] for box in boxes]
    truth = photo.truth.get("package", np.zeros((0, 4), np.float32))
    covers = iou(boxes, truth) >= COVERS if len(boxes) and len(truth) else np.zeros((len(boxes), len(truth)), bool)
    answer = Judged([(share, bool(row.any())) for share, row in zip(shares, covers, strict=True)])
    for column in range(len(truth)):
        answer.best.append(max([share for share, row in zip(shares, covers, strict=True) if row[column]], default=0.0))
    return answer


def case(
    zoo: ModelZoo, profile: str, classifier: str, holding: Sequence[Photo], empty: Sequence[Photo]
) -> dict[str, Any]:
    """A row of the table."""
    proposers = zoo.those_had(zoo.profile(profile).proposals)
    search = ParcelSearch(proposers, zoo.classifier(classifier), BeliefPolicy())
    with_some, without = [judged(search, each) for each in holding], [judged(search, each) for each in empty]
    photos = [[pair for pair in each.pairs if pair[1]] for each in with_some] + [each.pairs for each in without]
    parts, losses = [], []
    for fold in range(FOLDS):
        parts.append(fit([pair for index, some in enumerate(photos) if index % FOLDS != fold for pair in some]))
        losses += [loss(some, *parts[-1]) for index, some in enumerate(photos) if index % FOLDS == fold and some]
    slope, neutral = fit([pair for some in photos for pair in some])
    point = search.policy.neutral
    best = [share for each in with_some for share in each.best]
    false = sum(share >= point for each in without for share, _ in each.pairs)
    return {
        "proposals": profile,
        "classifier": classifier,
        "slope": round(slope, 2),
        "neutral": round(neutral, 3),
        "spread": f"{np.std([each[0] for each in parts]):.2f} {np.std([each[1] for each in parts]):.3f}",
        "held_out": round(float(np.mean(losses)), 3),
        "in_use": point,
        "recall": round(float(np.mean([share >= point for share in best])), 3),
        "false": round(false / max(1, len(without)), 3),
    }


def main() -> None:
    options = prepared(parser(__doc__).parse_args())
    images: Path = options.corpus / "images"
    zoo = open_zoo(workers=1)
    holding = read_packages(images / "packages")
    empty = [photo for name in ("coco_val", "voc") for photo in read_coco(images / name)]
    rows = []
    for profile, classifier in CASES:
        rows.append(case(zoo, profile, classifier, holding, empty))
        progress(rows[-1])
    higher = logit(rows[0]["in_use"]) - logit(rows[0]["neutral"])
    for row in rows:
        row["shifted"] = round(float(1 / (1 + np.exp(-(logit(row["neutral"]) + higher)))), 3)
    figures = {f"{row['proposals']}_{row['classifier']}_neutral": row["neutral"] for row in rows}
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()

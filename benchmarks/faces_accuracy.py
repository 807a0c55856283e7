"""Face verification and open-set identification on a corpus's photos, for every pair of detector and embedder.

Rows ``verify``: all pairs of photos; ``small``: the same with probes shrunk to so many pixels between the eyes; ``open set``: half of
the people enrolled, everybody probed; ``calibration``: what the similarity scale means; ``live``: what a feed's detector sizes find.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.common import arguments, progress, report, table
from benchmarks.face_photos import FacePhoto, face_photos
from streamproc.config.node import NodeFaceSettings
from streamproc.core.errors import MediaError
from streamproc.core.media import Image
from streamproc.core.vision import FaceBox, FloatArray
from streamproc.faces import quality
from streamproc.faces.images import decode
from streamproc.faces.reader import FaceReader, live_size
from streamproc.vision.zoo import ModelZoo, open_zoo

DETECTORS = ("yunet", "centerface")
EMBEDDERS = ("face_reidentification_retail_0095", "faceapi_recognition")
DEFAULT = (DETECTORS[0], EMBEDDERS[0])
THRESHOLD = 80.0
SMALL = (20, 14, 10)
SPLITS = 20
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """One face with its vector."""

    person: str | None
    photo: str
    vector: FloatArray


def main() -> None:
    options = arguments(__doc__)
    zoo = open_zoo(workers=1)
    photos = face_photos(options.corpus)
    images = _decoded(photos)
    progress(f"{len(images)} photos, {len({photo.person for photo, _ in images if photo.person})} people")
    rows: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    for detector in DETECTORS:
        reader = FaceReader(zoo, NodeFaceSettings(detector=detector))
        with_faces, detect_ms = _detected(reader, images)
        shrunk = _shrunk_faces(reader, with_faces)
        for embedder in EMBEDDERS:
            reader = FaceReader(zoo, NodeFaceSettings(detector=detector, embedder=embedder))
            for landmarks in ("detector", "68"):
                progress(f"{detector} + {embedder}, landmarks: {landmarks}")
                found, embed_ms = _embedded(reader, zoo, with_faces, landmarks)
                row = {"row": "verify", "detector": detector, "embedder": embedder, "landmarks": landmarks}
                rows.append(row | _verification(found) | {"detect_ms": detect_ms, "embed_ms": embed_ms})
                if landmarks == "detector":
                    opened = _open_set(found, reader)
                    rows.append({"row": "open set", "detector": detector, "embedder": embedder} | opened)
                    rows += _calibration(found, reader, detector, embedder)
                    rows += _small(reader, shrunk, found, (detector, embedder))
                    if (detector, embedder) == DEFAULT:
                        figures = _figures(row | _verification(found), opened)
    rows += _live(zoo, images)
    if options.json:
        report(options, figures=figures, rows=rows)
        return
    for kind in dict.fromkeys(row["row"] for row in rows):
        print(table([row for row in rows if row["row"] == kind]), end="\n\n")
    report(options, figures=figures)


def _figures(verified: dict[str, Any], opened: dict[str, Any]) -> dict[str, Any]:
    return {
        "auc": verified["auc"],
        "tpr_at_fpr_1pct": verified["tpr_at_fpr_1pct"],
        "tpr_at_fpr_01pct": verified["tpr_at_fpr_01pct"],
        "open_set_rank1": opened["rank1"],
        "open_set_false_accept": opened["false_accept"],
        "same_pairs": verified["same"],
        "different_pairs": verified["different"],
    }


# photos to vectors


def _decoded(photos: Sequence[FacePhoto]) -> list[tuple[FacePhoto, Image]]:
    images = []
    for photo in photos:
        try:
            images.append((photo, decode(photo.path.read_bytes()).image))
        except MediaError as error:
            progress(f"{photo.path}: {error}")
    return images


def _detected(
    reader: FaceReader, images: Sequence[tuple[FacePhoto, Image]]
) -> tuple[list[tuple[FacePhoto, Image, FaceBox]], float]:
    """The largest face of a person's photo; every usable face of a stranger's."""
    kept, spent = [], 0.0
    for photo, image in images:
        start = time.perf_counter()
        faces = reader.find(image)
        spent += time.perf_counter() - start
        height, width = image.shape[:2]
        if photo.person is not None:
            kept += [(photo, image, face) for face in faces[:1]]
            if not faces:
                progress(f"{photo.path}: no face found")
        else:
            kept += [(photo, image, face) for face in faces if quality.eye_distance(face, width, height) >= 20]
    return kept, 1000 * spent / max(len(images), 1)


def _embedded(
    reader: FaceReader, zoo: ModelZoo, faces: Sequence[tuple[FacePhoto, Image, FaceBox]], landmarks: str
) -> tuple[list[Found], float]:
    found, spent = [], 0.0
    for photo, image, face in faces:
        chosen = face if landmarks == "detector" else _with_68(zoo, image, face)
        start = time.perf_counter()
        vector = reader.embed(image, chosen)
        spent += time.perf_counter() - start
        found.append(Found(photo.person, str(photo.path), vector))
    return found, 1000 * spent / max(len(faces), 1)


def _with_68(zoo: ModelZoo, image: Image, face: FaceBox) -> FaceBox:
    """The same face with five points taken from the 68-point net."""
    points = zoo.landmarks68().find(image, face.box)
    five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
    return FaceBox(face.box, face.score, five.astype(np.float32))


# figures


def _pairs(found: Sequence[Found], *, strangers: bool) -> tuple[Values, Values]:
    """Cosines of pairs of one person and of different people; two faces of one photo make no pair."""
    used = [face for face in found if strangers or face.person is not None]
    vectors = np.stack([face.vector for face in used])
    people = np.array([face.person or face.photo for face in used])
    photos = np.array([face.photo for face in used])
    upper = np.triu(photos[:, None] != photos[None, :], 1)
    same = people[:, None] == people[None, :]
    cosines = (vectors @ vectors.T).astype(np.float32)
    return cosines[upper & same], cosines[upper & ~same]


def _verification(found: Sequence[Found]) -> dict[str, Any]:
    same, different = _pairs(found, strangers=False)
    if not len(same) or not len(different):
        raise SystemExit("the corpus needs at least two people and two photos of one of them under faces/")
    return {
        "same": len(same),
        "different": len(different),
        "auc": round(auc(same, different), 5),
        "tpr_at_fpr_1pct": round(true_rate(same, different, 0.01), 4),
        "tpr_at_fpr_01pct": round(true_rate(same, different, 0.001), 4),
        "lowest_same": round(float(same.min()), 3),
        "highest_different": round(float(different.max()), 3),
    }


def auc(same: Values, different: Values) -> float:
    """Probability that a pair of one person scores above a pair of different people (ties count half)."""
    ordered = np.sort(different)
    below = np.searchsorted(ordered, same, "left")
    equal = np.searchsorted(ordered, same, "right") - below
    return float((below + 0.5 * equal).mean() / len(different))


def true_rate(same: Values, different: Values, false_rate: float) -> float:
    """Share of same pairs above the cosine that lets at most ``false_rate`` of the different pairs pass."""
    allowed = int(np.floor(false_rate * len(different)))
    cut = np.sort(different)[::-1][min(allowed, len(different) - 1)]
    return float((same > cut).mean())


def _open_set(found: Sequence[Found], reader: FaceReader) -> dict[str, Any]:
    """Enrol half of the people (half of their photos), probe with everybody's other photos and all strangers; mean of 20 splits."""
    photos: dict[str, list[FloatArray]] = defaultdict(list)
    for face in found:
        if face.person is not None:
            photos[face.person].append(face.vector)
    several = sorted(person for person, vectors in photos.items() if len(vectors) > 1)
    crowd = [face.vector for face in found if face.person is None]
    right = probes = accepted = strangers = 0
    cut = reader.curve.cosine(THRESHOLD)
    for split in range(SPLITS):
        shuffled = random.Random(split).sample(several, len(several))
        enrolled = shuffled[: (len(shuffled) + 1) // 2]
        gallery = [
            (person, vector) for person in enrolled for vector in photos[person][: (len(photos[person]) + 1) // 2]
        ]
        matrix, names = np.stack([vector for _, vector in gallery]), [person for person, _ in gallery]
        for person in enrolled:
            for vector in photos[person][(len(photos[person]) + 1) // 2 :]:
                cosines = matrix @ vector
                probes += 1
                right += bool(cosines.max() >= cut and names[int(cosines.argmax())] == person)
        others = [vector for person in photos if person not in enrolled for vector in photos[person]] + crowd
        strangers += len(others)
        accepted += sum(bool((matrix @ vector).max() >= cut) for vector in others)
    return {
        "threshold": THRESHOLD,
        "rank1": round(right / max(probes, 1), 4),
        "false_accept": round(accepted / max(strangers, 1), 4),
        "probes": probes,
        "strangers": strangers,
    }


def _calibration(found: Sequence[Found], reader: FaceReader, detector: str, embedder: str) -> list[dict[str, Any]]:
    same, different = _pairs(found, strangers=True)
    rows = []
    for similarity in (50, 80, 90, 95, 99):
        cut = reader.curve.cosine(similarity)
        rows.append(
            {
                "row": "calibration",
                "detector": detector,
                "embedder": embedder,
                "similarity": similarity,
                "cosine": round(cut, 3),
                "fpr_per_mille": round(1000 * float((different >= cut).mean()), 3),
                "tpr": round(float((same >= cut).mean()), 4),
                "different": len(different),
            }
        )
    return rows


@dataclass(frozen=True, slots=True)
class Probe:
    """A person's photo, shrunk; ``face`` is None where it was not found again."""

    photo: FacePhoto
    eyes_px: int
    image: Image
    face: FaceBox | None


def _shrunk_faces(reader: FaceReader, faces: Sequence[tuple[FacePhoto, Image, FaceBox]]) -> list[Probe]:
    probes = []
    for eyes in SMALL:
        for photo, image, face in faces:
            small = _shrunk(image, face, eyes) if photo.person is not None else None
            if small is not None:
                again = reader.find(small)
                probes.append(Probe(photo, eyes, small, again[0] if again else None))
    return probes


def _small(
    reader: FaceReader, probes: Sequence[Probe], full: Sequence[Found], pair: tuple[str, str]
) -> list[dict[str, Any]]:
    """Probes shrunk to so many pixels between the eyes, as JPEG, found again; against the untouched photos."""
    gallery = [face for face in full if face.person is not None]
    matrix = np.stack([face.vector for face in gallery])
    cut = reader.curve.cosine(THRESHOLD)
    rows = []
    for eyes in SMALL:
        mine = [probe for probe in probes if probe.eyes_px == eyes]
        same: list[float] = []
        different: list[float] = []
        for probe in mine:
            if probe.face is None:
                continue
            cosines = matrix @ reader.embed(probe.image, probe.face)
            for other, cosine in zip(gallery, cosines, strict=True):
                if other.photo != str(probe.photo.path):
                    (same if other.person == probe.photo.person else different).append(float(cosine))
        row: dict[str, Any] = {"row": "small", "detector": pair[0], "embedder": pair[1], "eyes_px": eyes}
        row["detected"] = round(sum(probe.face is not None for probe in mine) / max(len(mine), 1), 3)
        if same and different:
            values = np.array(same, np.float32), np.array(different, np.float32)
            row["tpr_at_fpr_1pct"] = round(true_rate(*values, 0.01), 4)
            row["tpr_at_fpr_01pct"] = round(true_rate(*values, 0.001), 4)
            row["tpr_at_80"] = round(float((values[0] >= cut).mean()), 4)
            row["fpr_at_80"] = round(float((values[1] >= cut).mean()), 5)
        rows.append(row)
    return rows


def _shrunk(image: Image, face: FaceBox, eyes: int) -> Image | None:
    height, width = image.shape[:2]
    scale = eyes / max(quality.eye_distance(face, width, height), 1e-6)
    if scale >= 1:
        return None
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], cv2.IMREAD_COLOR))


def _live(zoo: ModelZoo, images: Sequence[tuple[FacePhoto, Image]]) -> list[dict[str, Any]]:
    """Faces of known size in 1280x720 and 1920x1080 frames, at the detector sizes a feed may use."""
    reader = FaceReader(zoo)
    known = [(image, faces[0]) for photo, image in images if photo.person and (faces := reader.find(image))]
    rows = []
    for width, height in ((1280, 720), (1920, 1080)):
        for size in ((640, 384), (960, 544), (1280, 736)):
            for detector in DETECTORS:
                row: dict[str, Any] = {"row": "live", "detector": detector, "frame": f"{width}x{height}"}
                row |= {"input": f"{size[0]}x{size[1]}", "chosen": size == live_size(width, height)}
                timer = _Timer()
                for eyes in (14, 20, 28):
                    row[f"recall_{eyes}px"] = _recall(reader, known, (width, height), size, detector, eyes, timer)
                rows.append(row | {"detect_ms": timer.best_ms})
    return rows


@dataclass
class _Timer:
    best_ms: float = float("inf")

    def run(self, call: Callable[[], list[FaceBox]]) -> list[FaceBox]:
        start = time.perf_counter()
        answer = call()
        self.best_ms = min(self.best_ms, round(1000 * (time.perf_counter() - start), 2))
        return answer


def _recall(
    reader: FaceReader,
    known: Sequence[tuple[Image, FaceBox]],
    frame: tuple[int, int],
    size: tuple[int, int],
    detector: str,
    eyes: int,
    timer: _Timer,
) -> float:
    hits = asked = 0
    for image, face in known[::6]:
        small = _shrunk(image, face, eyes)
        if small is None or small.shape[0] > frame[1] or small.shape[1] > frame[0]:
            continue
        canvas = np.full((frame[1], frame[0], 3), 110, np.uint8)
        top, left = (frame[1] - small.shape[0]) // 2, (frame[0] - small.shape[1]) // 3
        canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
        shown = cv2.resize(canvas, (size[0], round(size[0] * frame[1] / frame[0])), interpolation=cv2.INTER_AREA)
        middle = np.array(face.landmarks[2]) * [small.shape[1], small.shape[0]] + [left, top]
        x, y = middle / [frame[0], frame[1]]
        found = timer.run(lambda shown=shown: reader.find_live(shown, size, detector))  # type: ignore[misc]
        hits += any(each.box.left <= x <= each.box.right and each.box.top <= y <= each.box.bottom for each in found)
        asked += 1
    return round(hits / max(asked, 1), 3)


if __name__ == "__main__":
    main()

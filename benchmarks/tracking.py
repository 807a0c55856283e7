"""Stored-video person tracking beside ByteTrack, by HOTA, MOTA and IDF1: on given detections and with our own detector.

Sequences: CORPUS/mot/NAME in the layout of the MOT challenges (seqinfo.ini, gt/gt.txt, det/det.txt, perhaps a video). TrackEval's metrics
score both trackers on the same detections; figures are percent, over all sequences together. ``_public``: the detections of det.txt.
``_own``: what person analysis tells of the video, at every picture at which it tells where people are. ByteTrack is that of the ``trackers``
package with its defaults; ``_own`` it follows what the same detectors found at the pictures that they looked at, and is scored at those alone.
``cpu_s_a_video_s`` counts decoding, detectors and glances of ``_own``, without faces.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Stopwatch, parser, prepared, progress, report
from streamproc.config.node import NodeConfig
from streamproc.jobs.build import Analyses
from streamproc.jobs.model import JobKind
from streamproc.jobs.person_analysis import PersonAnalysis, PersonLook, persons_of
from streamproc.jobs.video import StoredVideo, VideoFrame
from streamproc.logic.boxes import iou
from streamproc.logic.structure import from_document
from streamproc.logic.tracklets import Look, follow
from streamproc.perception.provider import ModelProvider

PEDESTRIAN = 1
DISTRACTORS = (2, 7, 8, 12)
"""MOT16 and MOT17: people on vehicles, static people, distractors, reflections; found or not, they do not count."""
VIDEOS = (".mp4", ".mkv", ".avi", ".webm", ".mov")
Array = np.ndarray


@dataclass
class Course:
    """One sequence; boxes are corners in 0..1 of the picture."""

    name: str
    rate: float
    frames: int
    width: float
    height: float
    truth: dict[int, tuple[Array, Array]]
    """By frame from 1: person numbers (N,) and boxes (N, 4)."""
    ignored: dict[int, Array]
    """By frame: boxes of what does not count."""
    detections: dict[int, tuple[Array, Array]]
    """By frame: boxes (N, 4) and scores (N,)."""
    video: Path | None = None


@dataclass
class Paths:
    """What a tracker says: by frame, person numbers and boxes."""

    frames: dict[int, list[tuple[int, Array]]] = field(default_factory=dict)

    def add(self, frame: int, number: int, box: Array) -> None:
        self.frames.setdefault(frame, []).append((number, box))


def read_sequence(folder: Path) -> Course:
    """A MOT folder. Raises OSError, ValueError where it is none."""
    info = configparser.ConfigParser()
    info.read_string((folder / "seqinfo.ini").read_text(encoding="utf-8"))
    facts = info["Sequence"]
    width, height = float(facts["imWidth"]), float(facts["imHeight"])
    truth = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",", ndmin=2)
    found = np.loadtxt(folder / "det" / "det.txt", delimiter=",", ndmin=2)
    # Nine columns are MOT16's layout with a class in the eighth; MOT15 has ten, and places in the world there.
    classes = truth[:, 7] if truth.shape[1] == 9 else np.full(len(truth), PEDESTRIAN)
    counted = (truth[:, 6] != 0) & (classes == PEDESTRIAN)
    size = np.array([width, height, width, height])

    def boxes(rows: Array) -> Array:
        return np.asarray(np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1) / size)

    def by_frame(rows: Array) -> dict[int, Array]:
        return {int(frame): rows[rows[:, 0] == frame] for frame in np.unique(rows[:, 0])}

    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS)
    found[:, 6] = _unit(found[:, 6])
    return Course(
        name=folder.name,
        rate=float(facts["frameRate"]),
        frames=int(facts["seqLength"]),
        width=width,
        height=height,
        truth={frame: (rows[:, 1], boxes(rows)) for frame, rows in by_frame(truth[counted]).items()},
        ignored={frame: boxes(rows) for frame, rows in by_frame(truth[np.isin(classes, DISTRACTORS)]).items()},
        detections={frame: (boxes(rows), rows[:, 6]) for frame, rows in by_frame(found).items()},
        video=videos[0] if videos else None,
    )


def _unit(scores: Array) -> Array:
    """Scores in 0..1; those of detectors with another range go through the logistic function of their standard score."""
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return scores
    if np.ptp(scores) == 0:
        return np.ones_like(scores)
    return np.asarray(1 / (1 + np.exp(-(scores - np.median(scores)) / scores.std() - 1)))


def our_paths(sequence: Course) -> Paths:
    """The stored-video tracker on the given detections."""
    square = np.array([sequence.width, sequence.height] * 2) / sequence.height
    nothing = np.zeros((0, 4)), np.zeros(0)
    looks = []
    for frame in range(1, sequence.frames + 1):
        boxes, scores = sequence.detections.get(frame, nothing)
        looks.append(Look(frame / sequence.rate, (boxes * square).astype(np.float32), scores.astype(np.float32)))
    paths = Paths()
    for number, track in enumerate(follow(looks)):
        for look, box in zip(track.looks, track.boxes, strict=True):
            paths.add(int(look) + 1, number, box / square)
    return paths


def bytetrack_paths(
    frames: Sequence[int], detections: dict[int, tuple[Array, Array]], size: tuple[float, float], rate: float
) -> Paths:
    """ByteTrack with its defaults on the given detections, in pixels."""
    import supervision
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker(frame_rate=rate)
    pixels = np.array([*size, *size])
    paths = Paths()
    for frame in frames:
        boxes, scores = detections.get(frame, (np.zeros((0, 4)), np.zeros(0)))
        given = supervision.Detections(
            xyxy=(boxes * pixels).astype(np.float32).reshape(-1, 4),
            confidence=scores.astype(np.float32),
            class_id=np.zeros(len(boxes), int),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            followed = tracker.update(given)
        if followed.tracker_id is not None:
            for box, number in zip(followed.xyxy, followed.tracker_id, strict=True):
                if number >= 0:
                    paths.add(frame, int(number), box / pixels)
    return paths


def watch(path: Path, folder: Path) -> tuple[list[PersonLook], dict[int, int], Any]:
    """The looks of person analysis at a video, the frame (from 1) of each by its milliseconds, and the video's facts."""
    video = StoredVideo(str(path), path.name)
    analysis = Analyses(ModelProvider(NodeConfig(), folder, workers=2)).make(
        JobKind.PERSONS, {"faces": False}, video.facts
    )
    assert isinstance(analysis, PersonAnalysis)
    frames: dict[int, int] = {}
    for item in video.items():
        if isinstance(item, VideoFrame) and analysis.wants(item.index, item.at):
            analysis.add(item)
            frames[item.milliseconds] = item.index + 1
    analysis.finish()
    video.close()
    return from_document(list[PersonLook], analysis.take() or []), frames, video.facts


def data_of(sequence: Course, paths: Paths, frames: Sequence[int]) -> dict[str, Any]:
    """What TrackEval's metrics ask for, of these frames alone."""
    people: dict[float, int] = {}
    tracks: dict[int, int] = {}
    data: dict[str, Any] = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for frame in frames:
        numbers, boxes = sequence.truth.get(frame, (np.zeros(0), np.zeros((0, 4))))
        said = paths.frames.get(frame, [])
        mine = np.array([box for _, box in said]).reshape(-1, 4)
        alike = iou(boxes.astype(np.float32), mine.astype(np.float32)).astype(float)
        keep = _counted(mine, alike, sequence.ignored.get(frame))
        data["gt_ids"].append(np.array([people.setdefault(number, len(people)) for number in numbers], int))
        ids = [tracks.setdefault(said[row][0], len(tracks)) for row in keep]
        data["tracker_ids"].append(np.array(ids, int))
        data["similarity_scores"].append(alike[:, keep])
    return data | {
        "num_timesteps": len(frames),
        "num_gt_ids": len(people),
        "num_tracker_ids": len(tracks),
        "num_gt_dets": sum(map(len, data["gt_ids"])),
        "num_tracker_dets": sum(map(len, data["tracker_ids"])),
    }


def _counted(boxes: Array, alike: Array, ignored: Array | None) -> list[int]:
    """Rows of ``boxes`` that are no find of something ignored, as the MOT challenge has it."""
    if ignored is None or not len(boxes):
        return list(range(len(boxes)))
    best = alike.max(0) if len(alike) else np.zeros(len(boxes))
    other = iou(ignored.astype(np.float32), boxes.astype(np.float32)).max(0)
    return [row for row in range(len(boxes)) if not (other[row] >= 0.5 and best[row] < 0.5)]


def scores_of(data: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Percent by sequence, and of all together under the empty name."""
    from trackeval.metrics import CLEAR, HOTA, Identity  # type: ignore[import-untyped]

    with contextlib.redirect_stdout(io.StringIO()):
        metrics = HOTA(), CLEAR({"PRINT_CONFIG": False}), Identity({"PRINT_CONFIG": False})
        single = [{name: metric.eval_sequence(each) for name, each in data.items()} for metric in metrics]
        whole = [metric.combine_sequences(parts) for metric, parts in zip(metrics, single, strict=True)]
    result = {}
    for name in ["", *data]:
        hota, clear, identity = whole if not name else [parts[name] for parts in single]
        result[name] = {
            "hota": round(100 * float(np.mean(hota["HOTA"])), 2),
            "mota": round(100 * float(clear["MOTA"]), 2),
            "idf1": round(100 * float(identity["IDF1"]), 2),
            "switches": int(clear["IDSW"]),
            "wrong": int(clear["CLR_FP"]),
            "missed": int(clear["CLR_FN"]),
        }
    return result


def public(sequences: Sequence[Course]) -> dict[str, dict[str, dict[str, Any]]]:
    """Both trackers on the given detections."""
    ours, theirs = {}, {}
    for sequence in sequences:
        progress("public", sequence.name)
        frames = range(1, sequence.frames + 1)
        size = sequence.width, sequence.height
        ours[sequence.name] = data_of(sequence, our_paths(sequence), frames)
        rival = bytetrack_paths(frames, sequence.detections, size, sequence.rate)
        theirs[sequence.name] = data_of(sequence, rival, frames)
    return {"": scores_of(ours), "bytetrack_": scores_of(theirs)}


def own(sequences: Sequence[Course]) -> dict[str, dict[str, dict[str, Any]]]:
    """The whole chain, and ByteTrack on what its detectors found."""
    ours, theirs, cost = {}, {}, {}
    for sequence in sequences:
        if sequence.video is None:
            continue
        progress("own", sequence.name)
        with tempfile.TemporaryDirectory() as folder, Stopwatch() as took:
            looks, frame_of, facts = watch(sequence.video, Path(folder))
        cost[sequence.name] = took.cpu / max(1e-3, looks[-1].at_s)
        paths = Paths()
        for entry in persons_of(looks, facts.width / facts.height):
            paths.add(frame_of[entry["ms"]], entry["index"], np.array(entry["box"]))
        within = [look for look in looks if frame_of[look.ms] <= sequence.frames]
        ours[sequence.name] = data_of(sequence, paths, [frame_of[look.ms] for look in within])
        looks = [look for look in looks if look.seen]
        frames = [frame_of[look.ms] for look in within if look.seen]
        found = {frame_of[look.ms]: (look.boxes.astype(float), look.scores.astype(float)) for look in looks}
        rate = len(looks) / max(1e-3, looks[-1].at_s - looks[0].at_s)
        rival = bytetrack_paths(frames, found, (facts.width, facts.height), rate)
        theirs[sequence.name] = data_of(sequence, rival, frames)
    if not ours:
        return {}
    scores = scores_of(ours)
    for name, cpu_s in cost.items():
        scores[name]["cpu_s_a_video_s"] = round(cpu_s, 2)
    return {"": scores, "bytetrack_": scores_of(theirs)}


def main() -> None:
    words = parser(__doc__)
    words.add_argument("--only", choices=["public", "own"], help="one of the two halves")
    options: argparse.Namespace = prepared(words.parse_args())
    folder = options.corpus / "mot"
    sequences = [read_sequence(path.parent) for path in sorted(folder.glob("*/seqinfo.ini"))]
    if not sequences:
        raise SystemExit(f"{folder}: no sequences; put MOT folders there (seqinfo.ini, gt/gt.txt, det/det.txt)")
    halves: dict[str, Callable[[Sequence[Course]], dict[str, Any]]] = {"public": public, "own": own}
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for half, measure in halves.items():
        if options.only in (None, half):
            for prefix, scores in measure(sequences).items():
                figures |= {f"{prefix}{key}_{half}": scores[""][key] for key in ("hota", "mota", "idf1")}
                tracker = "ByteTrack" if prefix else "streamproc"
                rows += [
                    {"detections": half, "sequence": name or "all", "tracker": tracker, **each}
                    for name, each in scores.items()
                ]
    report(options, figures=figures, rows=sorted(rows, key=lambda row: (row["detections"] == "own", row["sequence"])))


if __name__ == "__main__":
    main()

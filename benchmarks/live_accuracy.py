"""Whether live sessions announce what there is, once, soon, and nothing else.

Clips: every video of CORPUS/video with CORPUS/truth/NAME.json, as one session from its first frame to its end (sampled as a camera
would be), or in continuous mode, visit by visit, where the truth has a class come back after two seconds or more. Each interval of the
truth asks for one event of its class; where the truth is uncertain nothing is asked and nothing held against us. ``latency`` counts
from the true start.

Photographs: CORPUS/images/coco_val, voc (COCO boxes) and packages (YOLO boxes), each made into two clips: a still of three seconds with a
camera's noise, and a slow pan of four over it. A class is asked for where one of its boxes, cut to the view, covers at least 2 % of it
(packages 0.5 %), is at least 60 % in view for a second and no crowd region; where its boxes are all smaller nothing is asked; where there is none
an event is false.

``fullframe_*`` is what the same detectors say of whole frames alone: the first box at or above its model's usual threshold is
the event; no second look, no confirmation, no verified packages.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, Literal

import cv2
import numpy as np

from benchmarks.common import cpu_seconds, parser, prepared, progress, read_photo, report
from benchmarks.labels import Photo, read_coco, read_packages
from streamproc.config.processor import LABEL_CLASSES, LabelSettings
from streamproc.core.event import EventType
from streamproc.core.media import EPOCH, Frame, Image, Picture
from streamproc.core.observation import Observation
from streamproc.core.vision import Detections
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.sighting import Place
from streamproc.media.picture import ArrayPicture
from streamproc.media.reader import moment, read_frames
from streamproc.perception.detect import common_name
from streamproc.perception.frame_search import FrameSearch
from streamproc.perception.label_models import LabelModels, load_models
from streamproc.perception.label_perception import LabelPerception
from streamproc.pipeline.label_analysis import LabelAnalysis
from streamproc.vision.zoo import open_zoo

CLASS_OF = {"person": "PERSON", "cat": "PET", "dog": "PET", "package": "PACKAGE"}
GONE_AFTER = Fraction(2)
LEAST_AREA = {"PERSON": 0.02, "PET": 0.02, "PACKAGE": 0.005}
THRESHOLDS = {
    ("yolox_nano", "person"): ("PERSON", 0.30),
    ("yolox_nano", "cat"): ("PET", 0.30),
    ("yolox_nano", "dog"): ("PET", 0.30),
    ("nanodet_g", "person"): ("PERSON", 0.42),
    ("nanodet_g", "cat"): ("PET", 0.28),
    ("nanodet_g", "dog"): ("PET", 0.28),
    ("ssd_oidv4", "cat"): ("PET", 0.35),
    ("ssd_oidv4", "dog"): ("PET", 0.35),
    ("deimv2_femto", "cat"): ("PET", 0.45),
    ("deimv2_femto", "dog"): ("PET", 0.45),
    ("ssd_oidv4", "box"): ("PACKAGE", 0.20),
    ("deimv2_femto", "suitcase"): ("PACKAGE", 0.30),
}
Times = list[tuple[float, float]]
Decision = list[tuple[str, float, float]]
"""(class, seconds, confidence) of each event."""


@dataclass
class Truth:
    """What a clip shows, by class."""

    intervals: dict[str, Times]
    uncertain: dict[str, Times] = field(default_factory=dict)
    tolerance: float = 0.2

    def visits(self) -> bool:
        """Whether a class leaves and comes back."""
        return any(len(times) > 1 for times in self.intervals.values())


@dataclass
class Score:
    """What was told of one clip against what it shows."""

    found: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    latencies: list[float] = field(default_factory=list)
    false: list[str] = field(default_factory=list)


def judge(told: Decision, truth: Truth) -> Score:
    """Each interval is met by the first event of its class in it; an event that meets none is false unless the truth is uncertain."""
    score = Score()
    spare = list(told)
    for label, times in truth.intervals.items():
        for start, end in times:
            inside = [each for each in spare if each[0] == label and _in(each[1], [(start, end)], truth.tolerance)]
            early = [each for each in spare if each[0] == label and _in(each[1], truth.uncertain.get(label, []), 0.0)]
            hits = inside or [each for each in early if each[1] <= end]
            score.found[label].append(bool(hits))
            if hits:
                score.latencies.append(max(0.0, hits[0][1] - start))
                spare.remove(hits[0])
    for label, at, confidence in spare:
        within = _in(at, truth.intervals.get(label, []), truth.tolerance)
        if not within and not _in(at, truth.uncertain.get(label, []), truth.tolerance):
            score.false.append(f"{label}@{at:.1f}s({confidence:.0f})")
    return score


def _in(at: float, times: Times, slack: float) -> bool:
    return any(start - slack <= at <= end + slack for start, end in times)


@dataclass(frozen=True)
class NotedSearch(FrameSearch):
    """The product's search of a frame, which also keeps what the whole-frame detectors said."""

    said: list[tuple[str, Detections]] = field(default_factory=list)

    def whole(self, picture: Picture, runs: Counter[str]) -> dict[str, Detections]:
        found = super().whole(picture, runs)
        self.said.extend(found.items())
        return found


class WholeFrames(LabelPerception):
    """The product's perceiver, which also keeps what the whole-frame detectors said first."""

    def __init__(self, settings: LabelSettings, models: LabelModels) -> None:
        super().__init__(settings, models)
        self.search = self._noted = NotedSearch(models)
        self.first: dict[str, float] = {}
        self.peak: dict[str, float] = {}

    def look(self, frame: Frame) -> Observation:
        self._noted.said.clear()
        seen = super().look(frame)
        for track in seen.tracks:
            self.peak[track.label] = max(self.peak.get(track.label, 0.0), track.confidence if track.confirmed else 0.0)
        for model, detections in self._noted.said:
            for row in range(len(detections)):
                label, least = THRESHOLDS.get((model, common_name(detections.name(row))), ("", 2.0))
                if detections.scores[row] >= least:
                    self.first.setdefault(label, frame.at.seconds)
        return seen


@dataclass
class Run:
    """What came of one clip."""

    told: Decision = field(default_factory=list)
    whole: Decision = field(default_factory=list)
    """The same of whole frames alone."""
    peak: dict[str, float] = field(default_factory=dict)
    """The highest confidence of each class that was confirmed."""
    looks: int = 0
    cpu: float = 0.0


def run_session(
    frames: Iterable[Frame],
    models: LabelModels,
    visits: bool,
    ease: Callable[[LabelAnalysis], None] = lambda _: None,
    classes: Sequence[str] = LABEL_CLASSES,
) -> Run:
    """One clip through a live session's perception and rules. ``ease`` is given the analysis before the first frame."""
    settings = LabelSettings(classes=tuple(classes))
    perceiver = WholeFrames(settings, models)
    analysis = LabelAnalysis(perceiver, settings, Sampler(settings.fps), RegionMap([]))
    ease(analysis)
    mode: Literal["session", "continuous"] = "continuous" if visits else "session"
    sessions = Sessions("benchmark", SessionRules(mode, None, GONE_AFTER, settings.classes), "benchmark")
    run = Run(peak=perceiver.peak)
    for frame in frames:
        if not analysis.sampler.due(frame.at.media):
            continue
        analysis.sampler.take(frame.at.media)
        before = cpu_seconds()
        look = analysis.analyse(frame)
        run.cpu, run.looks = run.cpu + cpu_seconds() - before, run.looks + 1
        for event in sessions.frame(Place(frame.at), look.sightings):
            if event.type is EventType.LABEL_DETECTED and event.label:
                run.told.append((event.label, event.at.seconds, event.confidence or 0.0))
    run.whole = [(label, at, 0.0) for label, at in sorted(perceiver.first.items())]
    return run


def read_truth(path: Path) -> Truth:
    """A truth file of the corpus."""
    document = json.loads(path.read_text())

    def times(key: str) -> dict[str, Times]:
        merged: dict[str, Times] = defaultdict(list)
        for name, some in (document.get(key) or {}).items():
            if name in CLASS_OF and some:
                merged[CLASS_OF[name]] += [(float(each[0]), float(each[1])) for each in some]
        return {label: _joined(some) for label, some in merged.items()}

    return Truth(times("intervals"), times("uncertain_intervals"), float(document.get("edge_tolerance_s") or 0.2))


def _joined(times: Times) -> Times:
    """Intervals that are too near one another to be two visits, as one."""
    joined: Times = []
    for start, end in sorted(times):
        if joined and start - joined[-1][1] <= float(GONE_AFTER) + 0.5:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def clips(corpus: Path) -> Iterator[tuple[str, Iterable[Frame], Truth]]:
    """Every video that has a truth file."""
    for path in sorted((corpus / "video").glob("*")):
        truth = corpus / "truth" / f"{path.stem}.json"
        if truth.is_file():
            yield path.name, read_frames(path), read_truth(truth)


def photo_clips(corpus: Path) -> Iterator[tuple[str, Iterable[Frame], Truth]]:
    """A still and a pan of every photograph."""
    photos: list[Photo] = []
    for name in ("coco_val", "voc"):
        if (corpus / "images" / name / "instances.json").is_file():
            photos += read_coco(corpus / "images" / name)
    if (corpus / "images" / "packages").is_dir():
        photos += read_packages(corpus / "images" / "packages")
    for photo in photos:
        image = read_photo(photo.path)
        scale = min(1.0, 1280 / max(image.shape[:2]))
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        for kind, views in (("still", [(0.0, 0.0, 1.0, 1.0)] * 30), ("pan", pan_views(40))):
            label = f"{photo.path.parent.name}/{photo.path.name}:{kind}"
            yield label, still_frames(image, views), photo_truth(photo, views)


def pan_views(count: int) -> list[tuple[float, float, float, float]]:
    """Windows of three quarters of the picture that rest, move across it and rest again."""
    steps = np.clip((np.arange(count) - count * 0.2) / (count * 0.6), 0, 1) * 0.25
    return [(float(step), float(step) * 0.6, float(step) + 0.75, float(step) * 0.6 + 0.75) for step in steps]


def still_frames(image: Image, views: list[tuple[float, float, float, float]]) -> Iterator[Frame]:
    """Ten frames a second, with a camera's noise."""
    noise = np.random.default_rng(20)
    height, width = image.shape[:2]
    for number, (left, top, right, bottom) in enumerate(views):
        size = (round((right - left) * width), round((bottom - top) * height))
        centre = ((left + right) / 2 * width - 0.5, (top + bottom) / 2 * height - 0.5)
        part = cv2.getRectSubPix(image, size, centre)
        grain = noise.normal(0, 2.0, part.shape[:2])[..., None]
        noisy = np.clip(part + grain, 0, 255).astype(np.uint8)
        yield Frame(moment(Fraction(number, 10), EPOCH), ArrayPicture(noisy))


def photo_truth(photo: Photo, views: list[tuple[float, float, float, float]]) -> Truth:
    """Intervals in which an object large enough is in view; uncertain where there are only smaller ones, or crowds."""
    truth = Truth({}, {})
    whole: Times = [(0.0, len(views) / 10)]
    for names in (photo.truth, photo.crowds):
        for name, boxes in names.items():
            label = CLASS_OF.get(name)
            if label is None or not len(boxes):
                continue
            truth.uncertain[label] = whole
            if names is photo.crowds:
                continue
            seen = [any(_large(box, view, LEAST_AREA[label]) for box in boxes) for view in views]
            first = next((at for at in range(len(seen) - 10) if all(seen[at : at + 10])), None)
            if first is not None:
                truth.intervals[label] = [(first / 10, len(views) / 10)]
    return truth


def _large(box: np.ndarray, view: tuple[float, float, float, float], least: float) -> bool:
    window = np.array(view)
    sides = np.minimum(box[2:], window[2:]) - np.maximum(box[:2], window[:2])
    visible = float(np.prod(np.maximum(sides, 0)))
    area = float(np.prod(box[2:] - box[:2]))
    return visible >= 0.6 * area and visible / float(np.prod(window[2:] - window[:2])) >= least


def measure(
    source: Iterable[tuple[str, Iterable[Frame], Truth]], models: LabelModels, prefix: str, quiet: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures and a row for each clip (of photographs only those where something went wrong)."""
    totals = {"": Score(), "fullframe_": Score()}
    rows: list[dict[str, Any]] = []
    looks, cpu = 0, 0.0
    for name, frames, truth in source:
        run = run_session(frames, models, truth.visits())
        looks, cpu = looks + run.looks, cpu + run.cpu
        scores = {"": judge(run.told, truth), "fullframe_": judge(run.whole, truth)}
        for key, score in scores.items():
            for label, hits in score.found.items():
                totals[key].found[label] += hits
            totals[key].latencies += score.latencies
            totals[key].false += score.false
        row = _row(name, truth, scores, run)
        if not quiet or row["missed"] or row["false"]:
            rows.append(row)
            progress(row)
    figures: dict[str, Any] = {}
    for key, score in totals.items():
        figures |= _figures(prefix + key, score)
    figures[f"{prefix}cpu_ms_a_look"] = round(1000 * cpu / max(1, looks), 1)
    return figures, rows


def _row(name: str, truth: Truth, scores: Mapping[str, Score], run: Run) -> dict[str, Any]:
    mine, whole = scores[""], scores["fullframe_"]
    return {
        "clip": name,
        "truth": " ".join(f"{label}x{len(times)}" for label, times in truth.intervals.items()) or "-",
        "told": " ".join(f"{label}@{at:.1f}s({confidence:.0f})" for label, at, confidence in run.told) or "-",
        "peak": " ".join(f"{label}:{value:.0f}" for label, value in run.peak.items() if value) or "-",
        "missed": " ".join(label for label, hits in mine.found.items() for hit in hits if not hit),
        "false": " ".join(mine.false),
        "latency_s": round(max(mine.latencies), 2) if mine.latencies else None,
        "cpu_ms_a_look": round(1000 * run.cpu / max(1, run.looks)),
        "fullframe_missed": " ".join(label for label, hits in whole.found.items() for hit in hits if not hit),
        "fullframe_false": " ".join(whole.false),
    }


def _figures(prefix: str, score: Score) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for label in LABEL_CLASSES:
        hits = score.found.get(label, [])
        figures[f"{prefix}recall_{label}"] = round(sum(hits) / len(hits), 3) if hits else None
        figures[f"{prefix}asked_{label}"] = len(hits)
    figures[f"{prefix}false_events"] = len(score.false)
    for label in LABEL_CLASSES:
        figures[f"{prefix}false_{label}"] = sum(each.startswith(label) for each in score.false)
    figures[f"{prefix}latency_median_s"] = round(median(score.latencies), 2) if score.latencies else None
    return figures


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--only", choices=["clips", "photos"], help="half of it")
    made.add_argument("--match", default="", help="only clips whose name contains this")
    made.add_argument(
        "--profile", action="append", metavar="NAME", help="models of this profile; several: side by side"
    )
    options = prepared(made.parse_args())
    zoo = open_zoo(workers=1)
    profiles = options.profile or ["default"]
    alone = len(profiles) == 1
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for profile in profiles:
        models = load_models(zoo, LABEL_CLASSES, profile)
        some, lines = _measured(options, models)
        figures |= {name if alone else f"{profile}_{name}": value for name, value in some.items()}
        rows += lines if alone else [{"profile": profile, **line} for line in lines]
    report(options, figures=figures, rows=rows)


def _measured(options: Any, models: LabelModels) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    halves = {"clips": (clips, "", False), "photos": (photo_clips, "photo_", True)}
    for name, (read, prefix, quiet) in halves.items():
        if options.only in (None, name):
            source = (each for each in read(options.corpus) if options.match in each[0])
            some, lines = measure(source, models, prefix, quiet)
            figures |= some
            rows += lines
    return figures, rows


if __name__ == "__main__":
    main()

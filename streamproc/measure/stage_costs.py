"""What each stage of the pipeline costs on this machine, one by one, with the configured models and a sample of a camera."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from streamproc.config.processor import LabelSettings, ProcessorConfig
from streamproc.contracts import Classifier, Detector
from streamproc.core.event import Event, EventType, Pictures
from streamproc.core.media import Frame, Packet
from streamproc.core.vision import Box
from streamproc.faces.reader import live_size
from streamproc.live.assembly import make_analyses
from streamproc.logic.motion import MotionWatch, thumbnail_size
from streamproc.logic.sampling import Sampler
from streamproc.measure.sample import Sample, fresh, standing_still
from streamproc.media import jpeg
from streamproc.media.decode import Decoder
from streamproc.perception.label_models import CROP, load_models
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.scheduler import Scheduler
from streamproc.store.database import Database
from streamproc.store.journal import Commit, Journal, SessionRow

T = TypeVar("T")
BUDGET_S = 0.4
"""So long (or LEAST calls, where that takes longer) one stage is measured."""
LEAST = 5
FRAMES = 20
"""Decoded pictures that are kept to measure with."""
_BOX = Box(0.4, 0.3, 0.6, 0.9)


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the table. Cost is of one ``unit``."""

    name: str
    unit: str
    cpu_ms: float
    wall_ms: float
    waits: bool = False
    """The wall clock is what limits it (a disk, another thread), not a core."""

    @property
    def per_second(self) -> float:
        """How many of them one core does in a second, with nothing else to do."""
        return 1000 / max(self.wall_ms if self.waits else self.cpu_ms, 1e-6)

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "stage": self.name,
            "unit": self.unit,
            "cpu_ms": round(self.cpu_ms, 4),
            "wall_ms": round(self.wall_ms, 4),
            "per_core_second": round(self.per_second, 1),
        }


def measure(sample: Sample, config: ProcessorConfig, provider: ModelProvider, folder: Path) -> Iterator[Stage]:
    """Every stage, as soon as it is known. ``folder`` (on the disk that state is to live on) is written to.

    Raises ModelUnavailable where a configured model cannot be had, NotFound where a face collection is not there.
    """
    yield from decoding(sample)
    frames = some_frames(sample.packets(), sample.fps)
    yield from seeing(frames)
    yield from inferring(frames, config, provider)
    still = standing_still(sample, folder / "still.mp4", 6.0)
    yield from looking(sample, still, config, provider)
    yield from telling(frames, folder)
    yield hand_off()


def decoding(sample: Sample) -> Iterator[Stage]:
    """Ingest, and each way to decode. Of one picture of the feed."""
    if sample.ingest_ms is not None:
        yield Stage("receive from the camera", "packet", sample.ingest_ms, sample.ingest_ms)
    with _timed() as took:
        for _ in sample.packets():
            pass
    yield took.stage("demux from a file", "packet", sample.frames)
    yield _decode("decode every picture", sample, Decoder())
    yield _decode("decode, keyframes only", sample, Decoder(), keyframes=True)
    yield _decode("decode without loop filter", sample, Decoder(skip_loop_filter=True))


def seeing(frames: Sequence[Frame]) -> Iterator[Stage]:
    """From a decoded picture to what gate and detectors are given."""
    picture = frames[0].picture
    width, height = thumbnail_size(picture.width, picture.height)
    watch = MotionWatch()
    yield _calls("luma gate", "picture", frames, lambda frame: watch.update(frame.picture.luma(width, height)))
    yield _calls("picture to detector input", "picture", frames, lambda frame: frame.picture.bgr(640, 640))


def inferring(frames: Sequence[Frame], config: ProcessorConfig, provider: ModelProvider) -> Iterator[Stage]:
    """Each model that the document's classes and faces need, its pre- and postprocessing included."""
    if config.labels is not None:
        yield from _label_models(frames, config.labels, provider)
    if config.faces is not None:
        reader, picture = provider.faces.reader, frames[0].picture
        size = live_size(picture.width, picture.height)
        name = reader.detector if config.faces.detector == "default" else config.faces.detector
        images = [frame.picture.bgr(*size) for frame in frames]
        yield _calls(f"{name} {size[0]}x{size[1]}", "picture", images, lambda i: reader.find_live(i, size, name))
        face = np.array([(220, 150), (280, 150), (250, 190), (230, 220), (270, 220)], np.float32)
        noise = np.random.default_rng(7).integers(0, 255, (360, 640, 3), np.uint8)
        yield _calls("face embedder", "face", [noise], lambda image: reader.embed_at(image, face))


def looking(sample: Sample, still: Sample, config: ProcessorConfig, provider: ModelProvider) -> Iterator[Stage]:
    """A whole look: while nothing moves, and while everything is looked at, with second looks and tracks."""
    ungated = {
        name: part.model_copy(update={"motion_gate": False})
        for name, part in (("labels", config.labels), ("faces", config.faces))
        if part is not None
    }
    fps = max(each.fps for each in (config.labels, config.faces) if each is not None)
    quiet = _looks(_sampled(still.packets(), fps), config, provider, quiet=True)
    if quiet is not None:
        yield quiet
    busy = _looks(_sampled(sample.packets(), fps), config.model_copy(update=ungated), provider, quiet=False)
    if busy is not None:
        yield busy


def telling(frames: Sequence[Frame], folder: Path) -> Iterator[Stage]:
    """What one event costs."""
    yield _calls("encode hero frame", "event", frames, lambda frame: jpeg.encode_frame(frame.picture))
    yield _calls("encode crop", "event", frames, lambda frame: jpeg.encode_crop(frame.picture, _BOX))
    pictures = Pictures(jpeg.encode_frame(frames[0].picture), jpeg.encode_crop(frames[0].picture, _BOX))
    at = frames[0].at
    database = Database(folder / "journal")
    journal = Journal(database)
    sequence = iter(range(1_000_000))

    def commit(_: object) -> None:
        event = Event(EventType.LABEL_DETECTED, "bench", "bench", next(sequence), at, "PERSON", has_pictures=True)
        journal.commit(Commit("bench", [SessionRow("bench", "bench", datetime.now(UTC))], [(event, pictures)]))

    try:
        yield _calls("commit an event to the journal (fsync)", "event", [None], commit, waits=True)
    finally:
        database.close()


def hand_off(times: int = 500) -> Stage:
    """From the thread that has something to the worker that takes it."""
    asleep = _Asleep()
    scheduler = Scheduler(1)
    scheduler.add(asleep)
    scheduler.start()
    try:
        with _timed() as took:
            for _ in range(times):
                asleep.call(scheduler.wake)
    finally:
        scheduler.stop()
    # There and back: the caller waits for the worker's answer.
    return took.stage("hand-off to a worker thread", "hand-off", 2 * times, waits=True)


def some_frames(packets: Iterable[Packet], fps: float) -> list[Frame]:
    """About FRAMES pictures, a fifth of a second apart."""
    step = max(1, round(fps / 5))
    frames: list[Frame] = []
    decoder = Decoder()
    seen = 0
    for packet in packets:
        for frame in decoder.decode(packet):
            if seen % step == 0:
                frames.append(frame)
            seen += 1
        if len(frames) >= FRAMES:
            break
    return (frames or decoder.flush())[:FRAMES]


# -- inside


class _Asleep:
    """A task of the scheduler that has something to do only when it is called."""

    def __init__(self) -> None:
        self._wanted: float | None = None
        self._done = threading.Event()

    def call(self, wake: Callable[[], None]) -> None:
        self._done.clear()
        self._wanted = 0.0
        wake()
        self._done.wait(5)

    def urgency(self) -> float | None:
        return self._wanted

    def step(self) -> None:
        self._wanted = None
        self._done.set()

    def fail(self, error: BaseException) -> None:
        self._done.set()


@dataclass
class _Took:
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def stage(self, name: str, unit: str, count: int, waits: bool = False) -> Stage:
        return Stage(name, unit, 1000 * self.cpu_s / max(1, count), 1000 * self.wall_s / max(1, count), waits)


@contextmanager
def _timed() -> Iterator[_Took]:
    took = _Took()
    cpu, wall = time.process_time(), time.perf_counter()
    yield took
    took.cpu_s, took.wall_s = time.process_time() - cpu, time.perf_counter() - wall


def _calls(name: str, unit: str, given: Sequence[T], call: Callable[[T], object], waits: bool = False) -> Stage:
    """The median call. Frames come fresh, so that nothing is converted already."""
    cpu: list[float] = []
    wall: list[float] = []
    _once(given[0], call)
    begun = time.perf_counter()
    for each in cycle(given):
        took = _once(each, call)
        cpu.append(took.cpu_s)
        wall.append(took.wall_s)
        if len(cpu) >= LEAST and time.perf_counter() - begun >= BUDGET_S:
            break
    return Stage(name, unit, 1000 * statistics.median(cpu), 1000 * statistics.median(wall), waits)


def _once(given: T, call: Callable[[T], object]) -> _Took:
    subject = cast(T, fresh(given)) if isinstance(given, Frame) else given
    with _timed() as took:
        call(subject)
    return took


def _decode(name: str, sample: Sample, decoder: Decoder, keyframes: bool = False) -> Stage:
    packets = [packet for packet in sample.packets() if packet.keyframe or not keyframes]
    with _timed() as took:
        for packet in packets:
            if keyframes:
                decoder.still(packet)
            else:
                decoder.decode(packet)
        decoder.flush()
    return took.stage(name, "picture of the feed", sample.frames)


def _label_models(frames: Sequence[Frame], settings: LabelSettings, provider: ModelProvider) -> Iterator[Stage]:
    models = load_models(provider.zoo, settings.classes, settings.profile)
    picture = frames[0].picture
    whole, close = models.whole(picture.width, picture.height), models.close() if settings.second_look else ()
    for detector in {(each.name, each.input_size): each for each in (*whole, *close, *models.proposals)}.values():
        yield _detector(detector, frames)
    if models.classifier is not None:
        classifier: Classifier = models.classifier
        crops = [frame.picture.crop(_BOX) for frame in frames]
        yield _calls(f"{classifier.name} 224x224", "crop", crops, classifier.classify)


def _detector(detector: Detector, frames: Sequence[Frame]) -> Stage:
    width, height = detector.input_size
    images = [fresh(frame).picture.bgr(max(width, CROP[0]), max(height, CROP[1])) for frame in frames]
    return _calls(f"{detector.name} {width}x{height}", "picture", images, lambda image: detector.detect(image, 0.1))


def _sampled(packets: Iterable[Packet], fps: float) -> Iterator[Frame]:
    sampler, decoder = Sampler(fps), Decoder()
    for packet in packets:
        for frame in decoder.decode(packet):
            if sampler.due(frame.at.media):
                sampler.take(frame.at.media)
                yield frame


def _looks(frames: Iterable[Frame], config: ProcessorConfig, provider: ModelProvider, quiet: bool) -> Stage | None:
    """Of a quiet feed those looks in which the detectors slept, of a busy one all but the first (which loads and compiles)."""
    analyses = make_analyses(config, provider)
    took, count = _Took(), 0
    begun: Fraction | None = None
    for frame in islice(frames, 3 * FRAMES):
        begun = frame.at.media if begun is None else begun
        with _timed() as one:
            runs = [look.runs for look in (analysis.analyse(frame) for analysis in analyses)]
        if any(runs) if quiet else frame.at.media == begun:
            continue
        took.cpu_s, took.wall_s, count = took.cpu_s + one.cpu_s, took.wall_s + one.wall_s, count + 1
        if count >= FRAMES:
            break
    name = "a whole look, nothing moves" if quiet else "a whole look, busy"
    return took.stage(name, "look", count) if count else None

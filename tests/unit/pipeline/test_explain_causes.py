"""Explanations of known causes: frames through the real lane, tracker, evidence, regions and sessions, with stand-in detectors that
see coloured patches; what is asked is what the trace answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from streamproc.config.processor import LabelSettings, ProcessorConfig
from streamproc.config.schedule import ScheduleSettings
from streamproc.contracts import SourceTraits
from streamproc.core.media import EPOCH, EndOfStream, Frame, Gap, GapReason, Moment
from streamproc.core.region import Region
from streamproc.live.tracing import TraceMemory, wanted
from streamproc.logic.explain import Span, Trace, explain
from streamproc.logic.explain_words import Wanted
from streamproc.logic.hours import Hours, Override
from streamproc.logic.load_shedding import QualityLevel, Step
from streamproc.logic.masked import Mask
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import SessionRules, Sessions
from streamproc.media.picture import ArrayPicture
from streamproc.pipeline.label_analysis import LabelAnalysis
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.setup import LaneSetup
from tests.builders.lanes import Book
from tests.builders.patches import BROWN, perceiver, scene, walk

BLUE = (250, 120, 0)
"""Nothing that any stand-in knows."""
Picture = Callable[[int], np.ndarray]
"""The picture of frame N, of five a second."""


def walker(number: int) -> np.ndarray:
    return scene(walk(number % 25))


def empty(number: int) -> np.ndarray:
    return scene()


def glimpse(number: int) -> np.ndarray:
    """Somebody is seen in one frame only."""
    return walker(0) if number == 10 else empty(number)


def leaves_blowing(number: int) -> np.ndarray:
    return scene((BLUE, 40 + 20 * (number % 25), 100, 60, 100))


def half_brown_box(number: int) -> np.ndarray:
    """What the proposals find, and the classifier takes for nothing: a thin brown frame."""
    return scene((BROWN, 300, 200, 80, 80), ((160, 160, 160), 306, 206, 68, 68))


STREET = (0.0, 0.5, 1.0, 1.0)


def behind(picture: Picture, box: tuple[float, float, float, float] = STREET) -> Picture:
    """As it is after masking: what the mask covers is black."""

    def masked(number: int) -> np.ndarray:
        image = picture(number)
        height, width = image.shape[:2]
        left, top, right, bottom = (round(value * side) for value, side in zip(box, (width, height) * 2, strict=True))
        image[top:bottom, left:right] = 0
        return image

    return masked


def corners(left: float, top: float, right: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


NOON = ScheduleSettings(timezone="UTC", active=("12:00-13:00",)).schedule()
"""All that is shown here is shown at midnight."""


def box_at(left: float, top: float, right: float, bottom: float) -> tuple[Region, ...]:
    return (Region("porch", corners(left, top, right, bottom)),)


@dataclass(frozen=True)
class Case:
    """What is shown, to what processor, and what the answer must say."""

    picture: Picture
    gate: str | None
    words: str
    outcome: str = "refused"
    measured: float | None = None
    threshold: float | None = None
    classes: tuple[str, ...] = ("PERSON",)
    settings: dict[str, Any] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    about: tuple[float, float] = (0.0, 4.0)
    score: float = 0.9
    """Of the stand-in detector."""
    before: Callable[[Lane], None] = lambda lane: None
    live: bool = False
    cut: bool = False
    """The feed is interrupted before the span."""
    end: bool = False
    masks: tuple[Mask, ...] = ()
    hours: Hours = field(default_factory=Hours)


def ease(lane: Lane) -> None:
    """What the governor does to a lane."""
    lane.frames.analyses.items[0].ease(QualityLevel.by([Step.SECOND_LOOK]))
    from streamproc.core.decisions import Aspect

    lane.frames.trace.condition(Aspect.EASED, "second_look", at=EPOCH)


def paused() -> Hours:
    hours = Hours()
    hours.override = Override("pause")
    return hours


CASES = {
    "announced": Case(walker, None, "Announced: PERSON", "announced"),
    "announced already": Case(walker, "announced", "announced already, at 00:00:00Z", about=(2, 4)),
    "nothing moved": Case(empty, "motion", "Nothing moved", about=(2, 4), threshold=40 / (480 * 270)),
    "too little confidence": Case(
        walker, "score", "that is asked for (labels.min_confidence)", settings={"min_confidence": 99.9}, threshold=99.9
    ),
    "too few looks": Case(
        walker,
        "evidence",
        "of the 40 looks that must speak for it",
        settings={"evidence": {"samples": 40, "window": "30s"}},
        threshold=40,
    ),
    "seen only once": Case(glimpse, "evidence", "1 of the 2 looks", measured=1, threshold=2),
    "in no region": Case(
        walker, "region", "0 % of its box is inside porch", regions=box_at(0, 0.9, 0.1, 1), measured=0, threshold=0.5
    ),
    "partly in a region": Case(
        walker,
        "region",
        "25 % of its box is inside porch, more than 50 % is needed",
        regions=box_at(0, 0, 1, 140 / 360),
        measured=0.25,
        threshold=0.5,
    ),
    "a class that is not asked for": Case(
        walker, "detector", "this class is not asked for; this processor looks for PET", classes=("PET",)
    ),
    "too faint": Case(walker, "detector", "too faint to count", score=0.12, threshold=50.0),
    "motion without an object": Case(leaves_blowing, None, "found nothing like PERSON", "none"),
    "no parcel": Case(
        half_brown_box, "detector", "Something like PACKAGE", classes=("PACKAGE",), threshold=26.0, about=(0, 2)
    ),
    "offline": Case(walker, None, "The camera was offline", "none", cut=True, about=(5, 8)),
    "ended": Case(walker, None, "its session had ended", "none", end=True, about=(7, 8)),
    "dropped": Case(walker, "capacity", "dropped: the node had too much to do (behind)", live=True, about=(0, 3)),
    "eased": Case(empty, "motion", "had given up: second_look", before=ease, about=(2, 4)),
    "outside its hours": Case(walker, "schedule", "outside of the processor's schedule", hours=Hours(NOON)),
    "paused": Case(walker, "schedule", "or it was paused", hours=paused()),
    "outside the region's hours": Case(
        walker,
        "schedule",
        "was in porch, outside of that region's schedule",
        regions=box_at(0, 0, 1, 1),
        hours=Hours(regions={"porch": NOON}),
        measured=1.0,
    ),
    "cut off by a mask": Case(
        behind(walker),
        "mask",
        "it ends where the mask street begins",
        score=0.12,
        masks=(("street", corners(*STREET)),),
        measured=1.0,
    ),
    "mostly behind a mask": Case(
        behind(walker, (0.0, 0.6, 1.0, 1.0)),
        "mask",
        "% of it is behind a mask.",
        settings={"min_confidence": 99.9},
        masks=(("", corners(0.0, 0.5, 1.0, 1.0)),),
        threshold=0.25,
    ),
    "wholly behind a mask": Case(
        behind(walker, (0.0, 0.0, 1.0, 1.0)),
        "motion",
        "What is behind the masks (all of it) is never seen.",
        masks=(("all of it", corners(0.0, 0.0, 1.0, 1.0)),),
        about=(2, 4),
    ),
    "a mask elsewhere": Case(
        walker, "detector", "too faint to count", score=0.12, masks=(("sky", corners(0.0, 0.0, 1.0, 0.1)),)
    ),
    "before it ran": Case(walker, None, "the processor was not running", "none", about=(-20, -10)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_answer_names_the_cause(case: Case) -> None:
    answer = answer_of(case)
    assert case.words in answer["text"], answer
    entries = [each for each in answer["candidates"] if each["gate"] == case.gate]
    if case.outcome == "none":
        assert answer["candidates"] == []
        return
    assert entries and entries[0]["outcome"] == case.outcome
    for key, value in (("measured", case.measured), ("threshold", case.threshold)):
        if value is not None:
            assert entries[0][key] == pytest.approx(value, rel=0.02, abs=0.01), entries
    assert all(each["text"].endswith(".") for each in answer["candidates"])


def test_frames_are_counted_by_what_became_of_them() -> None:
    frames = answer_of(Case(empty, "motion", "", about=(0, 4)))["frames"]
    assert frames["analysed"] >= 5 and frames["gated"] >= 5  # a second after the start, then nothing moved
    assert frames["decoded"] == frames["analysed"] + frames["gated"] and frames["dropped"] == 0


def test_somebody_who_stands_still_is_explained_though_no_model_looks() -> None:
    answer = answer_of(Case(lambda number: walker(min(number, 5)), "announced", "", about=(4, 6)))
    assert answer["frames"]["gated"] > 0 and {each["gate"] for each in answer["candidates"]} == {"announced"}


def test_the_masks_are_those_of_the_document() -> None:
    box = {"left": 0, "top": 0, "width": 1, "height": 0.2}
    document = {"source": {"type": "file", "path": "x.mp4"}, "labels": {}, "masks": [{"name": "sky", "box": box}]}
    assert wanted(ProcessorConfig.model_validate(document)).masks == (("sky", corners(0, 0, 1, 0.2)),)


def answer_of(case: Case) -> dict[str, Any]:
    perception, zoo, _, _ = perceiver(case.classes, **case.settings)
    zoo.people.score = case.score
    settings = LabelSettings(classes=case.classes, **case.settings)
    analysis = LabelAnalysis(perception, settings, Sampler(5), RegionMap(case.regions))
    analysis.hours = case.hours
    sessions = Sessions("door", SessionRules(classes=case.classes), "run")
    lane = Lane(LaneSetup("door", SourceTraits(live=case.live), sessions, [analysis], Book(), checkpoints=False))
    memory = TraceMemory()
    lane.frames.trace.observers.add(memory.take)
    case.before(lane)
    show(lane, case)
    start, end = (EPOCH + timedelta(seconds=second) for second in case.about)
    asked = Wanted(case.classes, masks=case.masks)
    return explain(Span("door", start, end, None, asked), Trace.cut((), memory.records, start, end))


def show(lane: Lane, case: Case) -> None:
    never = threading.Event()
    # A live lane that is never served in between finds all of it waiting, and looks at the newest only.
    for frame in frames(case.picture, 21):
        lane.offer(frame, None, never)
        serve(lane) if not case.live else None
    serve(lane)
    if case.cut:
        lane.offer(Gap(GapReason.LOST, moment(21), "connection reset"), None, never)
        serve(lane)
    if case.end:
        lane.offer(EndOfStream(), None, never)
        serve(lane)


def serve(lane: Lane) -> None:
    while not lane.over and lane.urgency() is not None:
        lane.step()


def frames(picture: Picture, count: int) -> Iterable[Frame]:
    return (Frame(moment(number), ArrayPicture(picture(number))) for number in range(count))


def moment(number: int) -> Moment:
    return Moment(Fraction(number, 5), EPOCH + timedelta(seconds=number / 5))

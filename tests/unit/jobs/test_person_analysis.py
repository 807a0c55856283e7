"""Persons told from looks: numbers over scenes, corners of the picture, faces."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamproc.core.faces import DetectedFace
from streamproc.core.media import Image
from streamproc.core.vision import Box, FaceBox, FaceQuality, Pose
from streamproc.jobs.person_analysis import PersonAnalysis, PersonLook, persons_of
from streamproc.jobs.video import VideoFrame
from streamproc.jobs.video_facts import VideoFacts
from streamproc.media.picture import ArrayPicture
from streamproc.perception.objects import SeenObject


def standing(ms: int, scene: int, left: float = 0.4, face: str | None = None) -> PersonLook:
    box = np.array([[left, 0.2, left + 0.1, 0.8]], np.float32)
    faces = {0: face} if face else {}
    return PersonLook(ms, ms / 1000, scene, box, np.array([0.9], np.float32), faces)


def test_nobody_is_followed_across_a_cut() -> None:
    told = persons_of([standing(100 * n, scene=n // 20) for n in range(40)], 16 / 9)
    assert {entry["index"] for entry in told if entry["ms"] < 2000} == {0}
    assert {entry["index"] for entry in told if entry["ms"] >= 2000} == {1}


def test_who_surely_looks_the_same_keeps_the_number_over_a_cut_and_over_a_fade() -> None:
    anna, bert = np.array([1, 0, 0], np.float16), np.array([0, 1, 0], np.float16)

    def dressed(ms: int, scene: int, vector: npt.NDArray[np.float16]) -> PersonLook:
        return replace(standing(ms, scene), vectors={0: vector})

    dark = [
        PersonLook(ms, ms / 1000, 1, np.zeros((0, 4), np.float32), np.zeros(0, np.float32), {})
        for ms in range(4000, 8000, 100)
    ]
    looks = [
        *(dressed(100 * n, 0, anna) for n in range(20)),
        *(dressed(2000 + 100 * n, 1, bert) for n in range(20)),
        *dark,
        *(dressed(8000 + 100 * n, 1, anna) for n in range(20)),
    ]
    told = persons_of(looks, 16 / 9)
    by_second = {entry["ms"] // 1000: entry["index"] for entry in told}
    assert (by_second[0], by_second[2], by_second[8]) == (0, 1, 0)


def test_boxes_stay_in_the_picture_and_faces_stay_with_their_look() -> None:
    told = persons_of([standing(100 * n, 0, left=-0.03, face="f" if n == 7 else None) for n in range(20)], 16 / 9)
    assert len(told) == 20
    assert all(0 <= value <= 1 for entry in told for value in entry["box"])
    assert [entry["ms"] for entry in told if "face" in entry] == [700]
    assert abs(told[0]["box"][3] - 0.8) < 1e-3
    assert told[0]["confidence"] == 90.0


def test_no_looks_no_persons() -> None:
    assert persons_of([], 1.0) == []


@pytest.mark.parametrize(
    ("step_ms", "looks", "told"), [(40, 1, 1), (40, 2, 2), (1000, 2, 2), (1000, 6, 6), (500, 6, 6), (40, 6, 6)]
)
def test_few_pictures_do_where_there_are_no_more(step_ms: int, looks: int, told: int) -> None:
    assert len(persons_of([standing(step_ms * n, 0) for n in range(looks)], 16 / 9)) == told


class Finder:
    """A stand-in for the detectors: somebody walks slowly through every picture."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def people(self, image: Image, least: float, memo: dict[str, Any], *, thorough: bool) -> list[SeenObject]:
        self.asked.append(thorough)
        return [SeenObject("person", Box(0.3, 0.2, 0.4, 0.8), 90.0)]


def frames(count: int) -> Iterator[VideoFrame]:
    """Of a grey video of 25 pictures a second."""
    for index in range(count):
        yield VideoFrame(index, Fraction(index, 25), ArrayPicture(np.full((36, 64, 3), 90, np.uint8)), None)  # type: ignore[arg-type]


def test_who_is_followed_surely_is_told_at_every_picture_and_looked_for_at_a_few() -> None:
    quality = FaceQuality(50.0, 50.0, 20.0, Pose(0.0, 0.0, 0.0))
    finder = Finder()
    face = DetectedFace(FaceBox(Box(0.34, 0.22, 0.36, 0.3), 0.9, np.zeros((5, 2), np.float32)), quality)
    facts = VideoFacts("h264", "mp4", 4000, Fraction(25), 64, 36, full_range=False)
    analysis = PersonAnalysis(facts, finder, lambda frame: [face])  # type: ignore[arg-type]
    for frame in frames(100):
        if analysis.wants(frame.index, frame.at):
            if frame.index == 50:  # a checkpoint in between changes nothing
                kept = analysis.snapshot()
                rows = analysis.take()
                analysis = PersonAnalysis(facts, finder, lambda frame: [face])  # type: ignore[arg-type]
                analysis.restore(kept)
            analysis.add(frame)
    told = analysis.conclude([rows, analysis.take()], facts, 100)["persons"]
    assert [entry["ms"] for entry in told] == list(range(0, 3921, 80))
    assert {entry["index"] for entry in told} == {0}
    assert len(finder.asked) == 13
    assert finder.asked == [number % 2 == 0 for number in range(13)]
    assert [entry["ms"] for entry in told if "face" in entry] == list(range(0, 3921, 160))

"""Health of a camera: sequences made of the corpus's clips (and, without it, of a drawn street) in which one thing goes wrong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from streamproc.logic.camera_health import CameraHealth, Condition
from tests.builders.spoiled import END_S, RIGHT, WRONG, WRONG_S, Change, judged, looped, spoiled
from tests.builders.streets import Sequence_, street

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
CLIPS = sorted((CORPUS / "video").glob("*.m*"))
LACKING = pytest.mark.skip(reason="needs the corpus beside the checkout")


@pytest.fixture(scope="module", params=["drawn", "aws_person_night", "aws_pet_night", "xr_doorbell_delivery"])
def scene(request: pytest.FixtureRequest) -> Sequence_:
    if request.param == "drawn":
        return street()
    clip = CORPUS / "video" / f"{request.param}.mp4"
    if not clip.exists():
        pytest.skip("needs the corpus beside the checkout")
    return looped(clip)


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_a_condition_is_told_within_20_s_and_no_other(scene: Sequence_, case: tuple[Change, Condition]) -> None:
    change, condition = case
    told = judged(spoiled(scene, change))
    assert [each.condition for _, each in told if each.active] == [condition]
    assert told[0][0] - WRONG_S < 20


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_other_light_and_weather_are_no_condition(scene: Sequence_, change: Change) -> None:
    assert judged(spoiled(scene, change)) == []


def test_a_condition_ends_and_says_so(scene: Sequence_) -> None:
    told = judged(spoiled(scene, lambda grey, chance: grey * 0, until=30))
    assert [(each.condition, each.active) for _, each in told] == [
        (Condition.COVERED, True),
        (Condition.COVERED, False),
    ]


def test_a_frozen_picture_is_told_within_20_s(scene: Sequence_) -> None:
    last = [grey for at, grey in scene if at < WRONG_S][-1]
    told = judged((at, grey if at < WRONG_S else last) for at, grey in scene if at < END_S)
    assert [(each.condition, each.active) for _, each in told] == [(Condition.FROZEN, True)]
    assert told[0][0] - WRONG_S < 20


def test_too_few_frames_are_told_within_20_s(scene: Sequence_) -> None:
    slow = [(at, grey) for number, (at, grey) in enumerate(scene) if at < WRONG_S or (at < END_S and number % 5 == 0)]
    told = judged(slow)
    assert [(each.condition, each.active) for _, each in told] == [(Condition.LOW_FPS, True)]
    assert told[0][0] - WRONG_S < 20 and told[0][1].measured == pytest.approx(1.0, abs=0.1)


def test_frames_that_were_held_back_here_are_not_missed(scene: Sequence_) -> None:
    health, found = CameraHealth(), []
    for (at, _), (after, _) in pairwise(scene):
        found += health.frame(at)
        if WRONG_S < at < WRONG_S + 0.5 or after - at > 1:
            health.pause()
    assert found == []


@pytest.mark.parametrize("clip", CLIPS or [pytest.param(CORPUS, marks=LACKING)], ids=lambda clip: clip.stem)
def test_nothing_is_wrong_with_the_cameras_of_the_corpus(clip: Path) -> None:
    assert judged(looped(clip, 30.0)) == []


def test_a_clock_that_runs_ahead_and_a_dead_feed() -> None:
    health = CameraHealth()
    told = [change for second in range(20) for change in health.clock(second, 90.0 if second > 4 else 0.0)]
    assert [(each.condition, each.active, each.measured) for each in told] == [(Condition.CLOCK, True, 90.0)]
    assert health.silent(29, 30, "lost") == [] and health.active == (Condition.CLOCK,)
    assert [(each.condition, each.detail) for each in health.silent(31, 30, "lost: reset")] == [
        (Condition.OFFLINE, "lost: reset")
    ]
    assert health.silent(60, 30, "lost") == [] and Condition.OFFLINE in health.active
    assert [each.active for each in health.back(75)] == [False] and health.back(0.1) == []

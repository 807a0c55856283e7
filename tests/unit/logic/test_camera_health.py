"""Health of a camera: sequences made of the corpus's clips (and, without it, of a drawn street) in which one thing goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamproc.logic.camera_health import CameraHealth, Condition, HealthChange
from streamproc.logic.motion import Grey, thumbnail_size
from tests.builders.streets import Sequence_, street

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
CLIPS = sorted((CORPUS / "video").glob("*.m*"))
WRONG_S, END_S = 16.0, 37.0
"""When things go wrong, and the end of a sequence: 21 s later."""
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def looped(clip: Path, seconds: float = 45.0) -> Sequence_:
    """The clip's thumbnails, five a second, again and again."""
    once: Sequence_ = []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            at = float(frame.time or 0)
            if not once or at - once[-1][0] >= 0.199:
                grey = frame.to_ndarray(format="gray")
                size = thumbnail_size(grey.shape[1], grey.shape[0])
                once.append((at, cv2.resize(grey, size, interpolation=cv2.INTER_AREA)))
    length = once[-1][0] + 0.2
    return [(at + turn * length, grey) for turn in range(int(seconds / length) + 1) for at, grey in once]


@pytest.fixture(scope="module", params=["drawn", "aws_person_night", "aws_pet_night", "xr_doorbell_delivery"])
def scene(request: pytest.FixtureRequest) -> Sequence_:
    if request.param == "drawn":
        return street()
    clip = CORPUS / "video" / f"{request.param}.mp4"
    if not clip.exists():
        pytest.skip("needs the corpus beside the checkout")
    return looped(clip)


def judged(sequence: Iterator[tuple[float, Grey]] | Sequence_) -> list[tuple[float, HealthChange]]:
    health, found = CameraHealth(), []
    for at, grey in sequence:
        changes = health.frame(at)
        if health.wants(at):
            changes += health.picture(at, grey)
        found += [(at, change) for change in changes]
    return found


def spoiled(scene: Sequence_, change: Change, until: float = END_S) -> Iterator[tuple[float, Grey]]:
    chance = np.random.default_rng(5)
    for at, grey in scene:
        if at < WRONG_S or at >= until:
            yield at, grey
        elif at < END_S:
            yield at, np.clip(change(grey.astype(np.float32), chance), 0, 255).astype(np.uint8)


def lamp(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A lamp in the upper left corner is switched on."""
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width]
    distance = (x - width * 0.3) ** 2 + (y - height * 0.2) ** 2
    return np.asarray(grey * (0.6 + 2.0 * np.exp(-distance / (width * 0.3) ** 2)))


def rain(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    wet = grey.copy()
    for x, y in zip(chance.integers(0, grey.shape[1], 150), chance.integers(0, grey.shape[0] - 20, 150), strict=True):
        wet[y : y + 20, x] += 80
    return wet


def hand(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Something dark and smooth close before the lens."""
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]]
    return np.asarray(30 + 20 * x / grey.shape[1] + 10 * np.sin(y / 80) + chance.normal(0, 2, grey.shape))


WRONG: dict[str, tuple[Change, Condition]] = {
    "black": (lambda grey, chance: grey * 0, Condition.COVERED),
    "plain grey": (lambda grey, chance: grey * 0 + 128, Condition.COVERED),
    "a hand": (hand, Condition.COVERED),
    "blurred": (lambda grey, chance: cv2.GaussianBlur(grey, (0, 0), 6), Condition.DEFOCUSED),
    "a little blurred": (lambda grey, chance: cv2.GaussianBlur(grey, (0, 0), 3), Condition.DEFOCUSED),
    "turned": (lambda grey, chance: np.roll(grey, grey.shape[1] // 3, axis=1), Condition.MOVED),
    "pushed": (lambda grey, chance: np.roll(grey, grey.shape[1] // 6, axis=1), Condition.MOVED),
}
RIGHT: dict[str, Change] = {
    "dusk": lambda grey, chance: grey * 0.2,
    "a bright day": lambda grey, chance: grey * 1.6 + 40,
    "noise": lambda grey, chance: grey + chance.normal(0, 25, grey.shape),
    "a grainy night": lambda grey, chance: grey * 0.2 + chance.normal(0, 8, grey.shape),
    "infra-red": lambda grey, chance: 204 * np.sqrt(grey / 255),
    "a lamp": lamp,
    "rain": rain,
}


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


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.stem)
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

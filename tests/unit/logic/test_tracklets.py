"""Offline tracking of made-up walks: identities through gaps and crossings, noise thrown out, paths smooth."""

import numpy as np
import pytest

from streamproc.logic.kalman import MotionPolicy, rts_smooth
from streamproc.logic.tracklets import Look, OfflinePolicy, Track, follow

RATE = 10.0


def walk(start: float, speed: float, looks: int, *, y: float = 0.5, height: float = 0.3) -> dict[int, np.ndarray]:
    """Corners by look of somebody who goes sideways at ``speed`` pictures heights a second."""
    x = start + speed * np.arange(looks) / RATE
    half = np.array([height * 0.2, height / 2])
    return {n: np.array([x[n] - half[0], y - half[1], x[n] + half[0], y + half[1]], np.float32) for n in range(looks)}


def looks_of(*people: dict[int, np.ndarray], scores: float = 0.95, jitter: float = 0.0) -> list[Look]:
    random = np.random.default_rng(3)
    looks = []
    for n in range(1 + max(max(person) for person in people)):
        boxes = [person[n] + random.normal(0, jitter, 4).astype(np.float32) for person in people if n in person]
        array = np.array(boxes, np.float32).reshape(-1, 4)
        looks.append(Look(n / RATE, array, np.full(len(array), scores, np.float32)))
    return looks


def middle(track: Track, look: int) -> float:
    box = track.boxes[track.looks.tolist().index(look)]
    return float(box[0] + box[2]) / 2


def without(person: dict[int, np.ndarray], first: int, last: int) -> dict[int, np.ndarray]:
    return {n: box for n, box in person.items() if not first <= n <= last}


@pytest.mark.parametrize("hidden", [(20, 22), (20, 24)])
def test_one_number_through_a_gap_that_is_filled(hidden: tuple[int, int]) -> None:
    person = walk(0.2, 0.15, 50)
    (track,) = follow(looks_of(without(person, *hidden)))
    assert track.looks.tolist() == list(range(50))
    assert [look for look, row in zip(track.looks, track.rows, strict=True) if row < 0] == list(
        range(hidden[0], hidden[1] + 1)
    )
    assert middle(track, 21) == pytest.approx(0.2 + 0.15 * 2.1, abs=0.01)


def test_people_who_cross_keep_their_numbers() -> None:
    right = walk(0.2, 0.2, 60, y=0.5)
    left = without(walk(1.4, -0.2, 60, y=0.52), 28, 32)
    tracks = follow(looks_of(right, left, jitter=0.004))
    assert len(tracks) == 2
    ways = sorted(middle(track, 58) - middle(track, 2) for track in tracks)
    assert ways[0] == pytest.approx(-1.12, abs=0.05)
    assert ways[1] == pytest.approx(1.12, abs=0.05)


def test_somebody_who_appears_elsewhere_is_somebody_else() -> None:
    tracks = follow(looks_of(without(walk(0.2, 0.0, 40), 20, 39), without(walk(1.2, 0.0, 40), 0, 21)))
    assert [(track.looks[0], track.looks[-1]) for track in tracks] == [(0, 19), (22, 39)]


def test_appearance_decides_where_motion_cannot() -> None:
    person = without(walk(0.5, 0.0, 40), 15, 24)
    same = looks_of(person)
    red, blue = np.eye(2, dtype=np.float32)

    def dressed(first: np.ndarray, second: np.ndarray) -> list[Look]:
        return [
            Look(look.at_s, look.boxes, look.scores, {0: first if n < 20 else second} if len(look.boxes) else {})
            for n, look in enumerate(same)
        ]

    assert len(follow(dressed(red, red))) == 1
    assert len(follow(dressed(red, blue))) == 2


def test_noise_is_no_person() -> None:
    flash = {10: np.array([1.0, 0.1, 1.1, 0.3], np.float32)}
    (track,) = follow(looks_of(walk(0.3, 0.1, 30), flash))
    assert set(track.rows.tolist()) == {0}
    assert follow(looks_of(walk(0.3, 0.1, 30), scores=0.75)) == []


def test_path_is_smoother_than_its_boxes() -> None:
    truth = walk(0.2, 0.1, 60)
    looks = looks_of(truth, jitter=0.01)
    (track,) = follow(looks)
    measured = np.array([look.boxes[0] for look in looks])
    real = np.array([truth[n] for n in range(60)])
    assert np.abs(track.boxes - real).mean() < 0.6 * np.abs(measured - real).mean()


@pytest.mark.parametrize("looks", [[], [Look(0.0, np.zeros((0, 4), np.float32), np.zeros(0, np.float32))]])
def test_nothing_gives_nothing(looks: list[Look]) -> None:
    assert follow(looks) == []


def test_order_and_repeat() -> None:
    looks = looks_of(walk(0.2, 0.1, 30), walk(0.9, 0.1, 30), jitter=0.003)
    first, second = follow(looks), follow(looks)
    assert [track.looks[0] for track in first] == sorted(track.looks[0] for track in first)
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(first, second, strict=True))


def test_smoother_is_unsure_only_in_gaps() -> None:
    times = np.array([0.0, 0.1, 0.2, 1.2, 1.3, 1.4])
    boxes = np.tile([0.5, 0.5, 0.1, 0.3], (6, 1))
    at = np.arange(15) / 10
    at[[1, 2, 12, 13, 14]] = times[1:]
    _, unsure = rts_smooth(times, boxes, at, MotionPolicy())
    assert unsure.argmax() == 7
    assert unsure[7] > 2 * unsure[1]


def test_policy_bounds_how_long_a_person_is_said_to_be_there_unseen() -> None:
    person = without(walk(0.5, 0.0, 60), 20, 35)
    (track,) = follow(looks_of(person), OfflinePolicy(fill_s=0.5))
    assert not any(20 <= look <= 35 for look in track.looks)

"""Fair shares, in a simulation of workers and cameras on a clock of its own."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import pytest

from streamproc.logic.fair_share import MAX_WAIT_S, FairShare


@dataclass
class Camera:
    """Gives a frame each ``1 / fps``; a look takes ``cost`` and is at the newest; what was older is dropped."""

    name: str
    fps: float
    cost: float
    begins: float = 0.0
    waiting: float | None = None
    """When the oldest frame that waits came."""
    busy: bool = False
    served: list[float] = field(default_factory=list)
    latest: float = 0.0

    @property
    def unserved(self) -> float:
        """The longest time between two looks."""
        return max(later - sooner for sooner, later in zip([self.begins, *self.served], self.served, strict=False))


def simulate(cameras: list[Camera], workers: int, seconds: float, turns: FairShare | None) -> None:
    """Arrivals and ends of looks in order of time; a free worker takes the least deadline."""
    happenings = [(camera.begins + 1 / camera.fps, number, "frame") for number, camera in enumerate(cameras)]
    heapq.heapify(happenings)
    free = workers
    while happenings:
        now, number, what = heapq.heappop(happenings)
        camera = cameras[number]
        if now > seconds:
            return
        if what == "frame":
            camera.waiting = now if camera.waiting is None else camera.waiting
            heapq.heappush(happenings, (now + 1 / camera.fps, number, "frame"))
        else:
            free += 1
            camera.busy = False
            if turns is not None:
                turns.charge(camera.name, now, camera.cost)
        while free:
            ready = [each for each in cameras if each.waiting is not None and not each.busy]
            if not ready:
                break
            chosen = min(ready, key=lambda each: turns.place(each.name, each.waiting) if turns else each.waiting)
            free -= 1
            chosen.busy, chosen.waiting = True, None
            chosen.served.append(now)
            heapq.heappush(happenings, (now + chosen.cost, cameras.index(chosen), "end"))


def cameras() -> list[Camera]:
    """Eight of 5 looks a second that need 1.6 of two workers, and one that alone would need three of them."""
    return [Camera(f"cam{number}", 5, 0.04, number * 0.025) for number in range(8)] + [Camera("hog", 30, 0.1)]


def looks(crowd: list[Camera], workers: int, turns: FairShare | None) -> list[float]:
    """A second, of each camera."""
    simulate(crowd, workers, 60, turns)
    return [len(camera.served) / 60 for camera in crowd]


@pytest.mark.parametrize("sleepers", [0, 100])
def test_who_takes_much_more_than_a_share_yields(sleepers: int) -> None:
    def crowd() -> list[Camera]:
        return cameras() + [Camera(f"asleep{number}", 0.5, 0.002, number * 0.02) for number in range(sleepers)]

    fair, unfair = looks(crowd(), 2, FairShare(2)), looks(crowd(), 2, None)
    assert min(fair[:8]) > 4.6 > 4 > min(unfair[:8]), "of the five a second that were asked for"
    assert 3 < fair[8] < unfair[8], "it still has what is left"


def test_who_needs_little_gets_it_beside_two_that_need_too_much() -> None:
    def crowd() -> list[Camera]:
        return [Camera("dear", 5, 0.2), Camera("dear too", 5, 0.2, 0.05), Camera("cheap", 5, 0.002, 0.1)]

    fair, unfair = looks(crowd(), 1, FairShare(1)), looks(crowd(), 1, None)
    assert fair[2] > 4.9 > 2.5 > unfair[2]
    assert fair[0] == pytest.approx(fair[1], abs=0.1) and fair[0] > 2.4, "the two share the rest"


def test_equals_share_alike_and_lose_nothing_by_it() -> None:
    def crowd() -> list[Camera]:
        return [Camera(f"cam{number}", 5, 0.03, number * 0.005) for number in range(40)]

    assert looks(crowd(), 2, FairShare(2)) == pytest.approx(looks(crowd(), 2, None), abs=0.1)


@pytest.mark.parametrize("count", [4, 16, 40])
def test_nobody_goes_unserved_longer_than_a_round_and_the_longest_wait(count: int) -> None:
    crowd = [Camera(f"cam{number}", 5, 0.06, number * 0.01) for number in range(count)] + [Camera("hog", 30, 0.2)]
    simulate(crowd, 2, 60, FairShare(2))
    one_round = sum(camera.cost for camera in crowd) / 2
    for camera in crowd:
        assert camera.unserved <= one_round + 1 / camera.fps + MAX_WAIT_S + 1e-6, camera.name


def test_as_many_as_workers_never_wait_for_one_another() -> None:
    turns = FairShare(2)
    for name in ("a", "b"):
        turns.charge(name, 1.0, 5.0)
    assert turns.place("a", 0.5) == turns.place("b", 0.5) == 1.0, "not older than its last turn"
    assert turns.place("a", 1.1) == 1.1
    turns.charge("c", 1.0, 0.1)
    turns.charge("a", 1.2, 0.1)
    assert turns.place("a", 1.2) == pytest.approx(1.25)
    turns.charge("a", 1.3, 60.0)
    assert turns.place("a", 1.3) == 1.3 + MAX_WAIT_S
    turns.forget("a")
    assert turns.place("a", 1.3) == 1.3


def test_who_had_no_turn_for_long_does_not_count() -> None:
    turns = FairShare(1)
    turns.charge("gone", 0.0, 1.0)
    turns.charge("here", 1.0, 0.1)
    assert turns.place("here", 1.0) == pytest.approx(1.1)
    turns.charge("here", 10.0, 0.1)
    assert turns.place("here", 10.0) == 10.0

"""Fair shares, in a simulation of workers and cameras on a clock of its own."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import pytest

from streamproc.logic.turns import MAX_YIELD_S, Turns


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


def simulate(cameras: list[Camera], workers: int, seconds: float, turns: Turns | None) -> None:
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


@pytest.mark.parametrize("sleepers", [0, 100])
def test_who_takes_much_more_than_a_share_yields(sleepers: int) -> None:
    def looks(turns: Turns | None) -> list[float]:
        asleep = [Camera(f"asleep{number}", 0.5, 0.002, number * 0.02) for number in range(sleepers)]
        crowd = cameras() + asleep
        simulate(crowd, 2, 60, turns)
        return [len(camera.served) / 60 for camera in crowd[:9]]

    fair, unfair = looks(Turns()), looks(None)
    assert min(fair[:8]) > 4.4 > 4 > min(unfair[:8]), "of the five a second that were asked for"
    assert 2 < fair[8] < unfair[8], "it still has what is left"


@pytest.mark.parametrize("count", [4, 16, 40])
def test_nobody_goes_unserved_longer_than_a_round_and_the_longest_yield(count: int) -> None:
    crowd = [Camera(f"cam{number}", 5, 0.06, number * 0.01) for number in range(count)] + [Camera("hog", 30, 0.2)]
    simulate(crowd, 2, 60, Turns())
    one_round = sum(camera.cost for camera in crowd) / 2
    for camera in crowd:
        assert camera.unserved <= one_round + 1 / camera.fps + MAX_YIELD_S + 0.2 + 1e-6, camera.name


def test_alone_nobody_yields_and_an_equal_share_costs_nothing() -> None:
    turns = Turns()
    for second in range(100):
        turns.charge("alone", second / 10, 0.1)
    assert turns.place("alone", 7.0) == 7.0
    for second in range(100, 200):
        turns.charge("other", second / 10, 0.1)
        turns.charge("alone", second / 10, 0.1)
    assert turns.place("alone", 7.0) == turns.place("other", 7.0) == 7.0


def test_what_was_used_long_ago_is_forgiven() -> None:
    turns = Turns()
    for name in ("a", "b", "c", "hog"):
        turns.charge(name, 0.0, 5.0 if name == "hog" else 0.1)
    assert turns.place("hog", 0.0) > 0
    for second in range(1, 20):
        for name in ("a", "b", "c"):
            turns.charge(name, float(second), 0.1)
    assert turns.place("hog", 0.0) == 0.0
    turns.charge("hog", 20.0, 5.0)
    turns.forget("hog")
    assert turns.place("hog", 0.0) == 0.0

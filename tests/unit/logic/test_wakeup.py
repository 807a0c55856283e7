"""What packet sizes tell, on made streams of the kinds that cameras send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from streamproc.logic.wakeup import SizeWatch

FPS, GOP = 15, 30
Stream = Iterator[tuple[int, bool]]


def quiet(packets: int, seed: int = 1, spread: float = 0.1) -> Stream:
    """Variable bit rate: a big keyframe, small differences, sizes by chance."""
    chance = np.random.default_rng(seed)
    for number in range(packets):
        key = number % GOP == 0
        yield int((60_000 if key else 3_000) * 2 ** chance.normal(0, spread)), key


def constant(packets: int, seed: int = 1) -> Stream:
    """Whatever is left of a GOP's bytes fills its last third up."""
    chance = np.random.default_rng(seed)
    while packets > 0:
        sizes = [int(8_000 * 2 ** chance.normal(0, 0.2)) for _ in range(GOP * 2 // 3)]
        rest = (400_000 - 60_000 - sum(sizes[1:])) // (GOP - len(sizes))
        for number in range(min(GOP, packets)):
            yield (60_000 if number == 0 else sizes[number] if number < len(sizes) else rest), number == 0
        packets -= GOP


def swinging(packets: int, seed: int = 1) -> Stream:
    """A rate control that hunts: sizes go up and down by a factor of eight."""
    for number, (size, key) in enumerate(quiet(packets, seed)):
        yield (size if key else int(size * 2 ** (1.5 * np.sin(number * 0.9)))), key


def feed(
    watch: SizeWatch, stream: Stream, start: int = 0, factor: Callable[[int], float] = lambda number: 1.0
) -> list[int]:
    """The packets (counted within ``stream``) at which it stirred."""
    stirred = []
    for number, (size, key) in enumerate(stream):
        if watch.update(int(size * factor(number)), key, Fraction(start + number, FPS)):
            stirred.append(number)
            watch.relax()
    return stirred


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3])
def test_a_quiet_stream_stirs_nobody_and_an_entry_does_within_half_a_second(spread: float) -> None:
    watch = SizeWatch()
    assert feed(watch, quiet(60 * GOP, spread=spread)) == []
    assert watch.learned and watch.blind is None and watch.interval == Fraction(GOP, FPS)
    stirred = feed(watch, quiet(GOP, seed=2, spread=spread), 60 * GOP, lambda number: 3.0 if number >= 10 else 1.0)
    assert stirred and 10 <= stirred[0] <= 10 + FPS // 2


def test_one_fat_packet_wakes_nobody() -> None:
    watch = SizeWatch()
    feed(watch, quiet(20 * GOP))
    assert feed(watch, quiet(GOP, seed=3), 20 * GOP, lambda number: 20.0 if number == 12 else 1.0) == []


def test_nothing_is_believed_before_it_was_learnt() -> None:
    watch = SizeWatch()
    assert feed(watch, quiet(2 * GOP), factor=lambda number: 1.0 if number < GOP else 9.0) == [] and not watch.learned


@pytest.mark.parametrize(
    ("stream", "why"), [(constant, "constant bit rate"), (swinging, "packet sizes swing by themselves")]
)
def test_streams_that_hide_what_happens_are_recognised(stream: Callable[[int], Stream], why: str) -> None:
    watch = SizeWatch()
    feed(watch, stream(20 * GOP))
    assert watch.blind == why


def test_a_stream_of_keyframes_and_next_to_nothing_is_not_taken_for_a_constant_rate() -> None:
    watch = SizeWatch()
    feed(watch, ((60_000 if number % GOP == 0 else 62, number % GOP == 0) for number in range(20 * GOP)))
    assert watch.blind is None


def test_what_is_in_view_is_not_learnt_while_frozen_and_longer_gops_are_taken() -> None:
    watch = SizeWatch()
    feed(watch, quiet(10 * GOP))
    watch.frozen = True
    feed(watch, quiet(10 * GOP, seed=4), 10 * GOP, lambda number: 4.0)
    watch.frozen = False
    assert feed(watch, quiet(GOP, seed=5), 20 * GOP, lambda number: 4.0)
    watch.frozen = True
    feed(watch, ((3_000, number == 0) for number in range(3 * GOP)), 21 * GOP)
    watch.frozen = False
    feed(watch, ((3_000, False) for _ in range(10)), 24 * GOP)
    feed(watch, quiet(6 * GOP), 25 * GOP)
    assert feed(watch, quiet(GOP, seed=6), 31 * GOP) == []


def test_a_lasting_change_of_the_scene_is_learnt_after_a_few_gops() -> None:
    watch = SizeWatch()
    feed(watch, quiet(20 * GOP))
    feed(watch, quiet(6 * GOP, seed=7), 20 * GOP, lambda number: 2.0)
    assert feed(watch, quiet(10 * GOP, seed=8), 26 * GOP, lambda number: 2.0) == []

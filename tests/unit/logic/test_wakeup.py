"""What packets tell, on made streams of the kinds that cameras send; recorded ones are in ``benchmarks.camera_wakes``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from streamproc.core.media import Weight
from streamproc.logic.wakeup import PacketWatch, WakePolicy, WakeRecord

FPS, GOP = 15, 30
Stream = Iterator[tuple[Weight, bool]]
Content = Callable[[int], float]
"""How many times the bits of the quiet scene a picture needs, by its number."""


def still(number: int) -> float:
    return 1.0


def quality(content: Content = still, seed: int = 1, spread: float = 0.1, gop: int = GOP, start: int = 0) -> Stream:
    """Constant quality: the quantizer stands, the size follows the content."""
    chance = np.random.default_rng(seed)
    number = start
    while True:
        key = number % gop == 0
        size = (60_000 if key else 3_000) * content(number) * 2 ** chance.normal(0, spread)
        yield Weight(int(size), 24, "I" if key else "P"), key
        number += 1


def constant(content: Content = still, seed: int = 1, start: int = 0) -> Stream:
    """Constant rate: the size stands, the quantizer follows the content (a third of the size for six steps) with a picture's delay."""
    chance = np.random.default_rng(seed)
    number, exact = start, 24.0
    while True:
        key = number % GOP == 0
        qp = round(exact)
        size = 8_000 * content(number) * 2 ** ((24 - exact) * 1.6 / 6 + chance.normal(0, 0.1))
        yield Weight(int(size * (5 if key else 1)), qp, "I" if key else "P"), key
        exact += 0.6 * np.log2(size / 8_000) * 6 / 1.6
        number += 1


def plain(content: Content = still, seed: int = 1, start: int = 0) -> Stream:
    """A codec whose headers are not read."""
    for weight, key in quality(content, seed, start=start):
        yield Weight(weight.size), key


def entering(at: int, factor: float = 2.0) -> Content:
    return lambda number: factor if number >= at else 1.0


def feed(watch: PacketWatch, stream: Stream, packets: int, start: int = 0) -> list[int]:
    """The packets at which it stirred."""
    stirred = []
    for number, (weight, key) in enumerate(islice(stream, packets), start):
        if watch.update(weight, key, Fraction(number, FPS)):
            stirred.append(number)
            watch.relax()
    return stirred


@pytest.mark.parametrize("make", [quality, constant, plain])
def test_a_quiet_stream_stirs_nobody_and_an_entry_does_within_a_second(make: Callable[..., Stream]) -> None:
    watch = PacketWatch()
    assert feed(watch, make(), 60 * GOP) == []
    assert watch.learned and watch.blind() is None and watch.interval == Fraction(GOP, FPS)
    enters = 60 * GOP + 10
    stirred = feed(watch, make(entering(enters), seed=2, start=60 * GOP), GOP, 60 * GOP)
    assert stirred and enters <= stirred[0] <= enters + FPS


def test_a_constant_rate_hides_in_sizes_alone_what_the_quantizer_shows() -> None:
    def without_qp(stream: Stream) -> Stream:
        return ((Weight(weight.size, None, weight.kind), key) for weight, key in stream)

    seeing, deaf = PacketWatch(), PacketWatch()
    content = entering(20 * GOP + 10, 1.4)
    assert feed(seeing, constant(content), 22 * GOP)
    assert not feed(deaf, without_qp(constant(content)), 22 * GOP)


def test_it_is_learnt_in_two_groups_of_pictures_and_nothing_is_believed_before() -> None:
    watch = PacketWatch()
    stream = quality(entering(GOP, 9.0))
    assert feed(watch, stream, 2 * GOP) == [] and not watch.learned
    feed(watch, stream, 1, 2 * GOP)
    assert watch.learned
    far = PacketWatch()
    feed(far, quality(gop=150), 151)
    assert far.learned and far.interval == 10


def test_one_fat_packet_wakes_nobody() -> None:
    watch = PacketWatch()
    feed(watch, quality(), 20 * GOP)
    once = quality(lambda number: 20.0 if number == 20 * GOP + 12 else 1.0, seed=3, start=20 * GOP)
    assert feed(watch, once, GOP, 20 * GOP) == []


def test_a_lost_packet_wakes_nobody() -> None:
    watch = PacketWatch()
    losing = (item for number, item in enumerate(quality()) if number % 47 or item[1])
    assert feed(watch, losing, 60 * GOP) == []


def test_a_coarser_quantizer_than_any_before_is_expected_to_need_less() -> None:
    watch = PacketWatch()
    feed(watch, quality(), 10 * GOP)
    louder = ((Weight(weight.size, 27, weight.kind), key) for weight, key in quality(seed=5, start=10 * GOP))
    assert feed(watch, louder, FPS, 10 * GOP)


def test_what_is_in_view_is_not_learnt_while_frozen() -> None:
    watch = PacketWatch()
    feed(watch, quality(), 10 * GOP)
    watch.frozen = True
    feed(watch, quality(entering(0, 4.0), start=10 * GOP), 10 * GOP, 10 * GOP)
    watch.frozen = False
    watch.relax()
    assert feed(watch, quality(entering(0, 4.0), seed=5, start=20 * GOP), GOP, 20 * GOP)


def test_a_lasting_change_of_the_scene_is_learnt_within_a_minute() -> None:
    watch = PacketWatch()
    feed(watch, quality(), 20 * GOP)
    feed(watch, quality(entering(0), seed=7, start=20 * GOP), 30 * GOP, 20 * GOP)
    assert feed(watch, quality(entering(0), seed=8, start=50 * GOP), 10 * GOP, 50 * GOP) == []


def test_wakes_that_find_nothing_raise_the_threshold_for_a_while() -> None:
    watch = PacketWatch()
    feed(watch, quality(), 10 * GOP)
    usual = watch.threshold
    watch.found_nothing()
    assert watch.threshold == pytest.approx(usual * 1.5)
    for _ in range(9):
        watch.found_nothing()
    assert watch.threshold == pytest.approx(usual * 4)
    assert watch.blind() == "packet sizes rose again and again for nothing"
    feed(watch, quality(start=10 * GOP), 600 * FPS, 10 * GOP)
    assert watch.threshold < 1.4 * usual and watch.blind() is None


def test_a_stream_that_swings_by_itself_is_blind() -> None:
    watch = PacketWatch()
    feed(watch, quality(spread=0.9), 20 * GOP)
    assert watch.blind() == "packet sizes swing by themselves"


def test_a_snapshot_makes_a_camera_known_at_once_and_another_stream_is_learnt_anew() -> None:
    watch = PacketWatch()
    feed(watch, quality(), 10 * GOP)
    saved = json.loads(json.dumps(watch.snapshot()))
    again = PacketWatch()
    again.restore(saved)
    assert feed(again, quality(seed=9), 1) == [] and again.learned and again.interval == 2
    assert feed(again, quality(entering(10), seed=9, start=1), GOP, 1)
    other = PacketWatch()
    other.restore(saved)
    feed(other, quality(entering(0, 8.0), seed=10), GOP + 1)
    assert not other.learned
    assert feed(other, quality(entering(0, 8.0), seed=10, start=GOP + 1), 10 * GOP, GOP + 1) == [] and other.learned
    fresh = PacketWatch()
    fresh.restore({"version": 0})
    assert not fresh.learned


def test_packets_that_missed_twice_are_not_trusted_for_ten_minutes() -> None:
    record = WakeRecord()
    record.found(Fraction(10), missed=True)
    assert not record.mistrusted(Fraction(20))
    record.found(Fraction(30), missed=True)
    assert record.mistrusted(Fraction(40)) and record.mistrusted(Fraction(609)) and not record.mistrusted(Fraction(611))
    for at in (700, 710, 720, 730):
        record.found(Fraction(at), missed=False)
    assert not record.mistrusted(Fraction(40))


def test_the_policy_is_what_counts() -> None:
    deaf = PacketWatch(WakePolicy(threshold=1e9))
    assert feed(deaf, quality(entering(10 * GOP, 9.0)), 20 * GOP) == []

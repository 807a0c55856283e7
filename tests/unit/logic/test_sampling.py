"""Sampling by media time: how many and which frames are looked at."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.logic.sampling import Sampler, staggered_phase


def taken(sampler: Sampler, times: list[Fraction]) -> list[Fraction]:
    result = []
    for media in times:
        if sampler.due(media):
            sampler.take(media)
            result.append(media)
    return result


@pytest.mark.parametrize(
    ("source_fps", "fps", "expected"), [(30, 5, 50), (25, 5, 50), (15, 5, 50), (4, 5, 40), (30, 30, 300), (30, 0.5, 5)]
)
def test_rate(source_fps: int, fps: float, expected: int) -> None:
    times = [Fraction(n, source_fps) for n in range(source_fps * 10)]
    assert len(taken(Sampler(fps), times)) == expected


def test_the_first_frame_and_the_first_after_a_gap_are_due() -> None:
    sampler = Sampler(5, Fraction(1, 10))
    assert taken(sampler, [Fraction(1, 100)]) == [Fraction(1, 100)]
    assert not sampler.due(Fraction(2, 100))
    sampler.reset()
    assert sampler.due(Fraction(2, 100))


@given(
    st.lists(st.fractions(0, 10, max_denominator=90000), min_size=1, unique=True),
    st.integers(0, 50),
    st.integers(1, 30),
)
def test_never_more_than_asked_and_none_missed(times: list[Fraction], index: int, fps: int) -> None:
    sampler = Sampler(fps, staggered_phase(index, Fraction(fps)))
    times = sorted(times)
    looked = taken(sampler, times)
    slots = [int((media - sampler.phase) * fps // 1) for media in looked]
    assert looked[0] == times[0]
    assert len(set(slots)) == len(slots)
    assert {int((media - sampler.phase) * fps // 1) for media in times} == set(slots)


@given(st.integers(0, 500), st.integers(1, 60))
def test_phases_lie_within_the_interval(index: int, fps: int) -> None:
    assert 0 <= staggered_phase(index, Fraction(fps)) < Fraction(1, fps)

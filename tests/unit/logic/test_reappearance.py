"""Who keeps a number over cuts and fades: those who surely look like themselves and like nobody else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamproc.logic.reappearance import LEAST_LOOKS, Path, numbered

ANNA, BERT, TWIN = (
    np.array(vector, np.float32) / np.linalg.norm(vector)
    for vector in ([1.0, 0.1, 0.0, 0.0], [0.0, 0.1, 1.0, 0.0], [1.0, 0.2, 0.1, 0.0])
)


def seen(stretch: int, who: np.ndarray, first: float, last: float, looks: int = 9) -> Path:
    return Path((stretch,), first, last, looks, who)


def test_each_keeps_the_number_behind_a_cut() -> None:
    before = [seen(0, ANNA, 0, 4), seen(0, BERT, 1, 4)]
    behind = [seen(1, BERT, 5, 8), seen(1, ANNA, 6, 8)]
    assert numbered([*before, *behind]) == [0, 1, 1, 0]


def test_a_number_is_kept_over_scenes_in_which_nobody_is() -> None:
    assert numbered([seen(0, ANNA, 0, 4), seen(1, BERT, 5, 8), seen(2, ANNA, 9, 12)]) == [0, 1, 0]


def test_who_could_be_two_people_is_new() -> None:
    assert numbered([seen(0, ANNA, 0, 4), seen(0, TWIN, 1, 4), seen(1, ANNA, 5, 8)]) == [0, 1, 2]
    assert numbered([seen(0, ANNA, 0, 4), seen(1, ANNA, 5, 8), seen(1, TWIN, 5, 8)]) == [0, 1, 2]


def test_who_was_hardly_seen_or_looks_otherwise_is_new() -> None:
    assert numbered([seen(0, ANNA, 0, 4), seen(1, ANNA, 5, 8, LEAST_LOOKS - 1)]) == [0, 1]
    assert numbered([seen(0, ANNA, 0, 4), seen(1, BERT, 5, 8)]) == [0, 1]


def test_who_is_still_there_is_nobody_else() -> None:
    assert numbered([seen(0, ANNA, 0, 9), seen(1, ANNA, 5, 8)]) == [0, 1]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([ANNA, BERT, TWIN]), st.integers(0, 9), st.integers(0, 5)),
        max_size=12,
    )
)
def test_numbers_are_dense_and_nobody_is_twice_at_once(steps: list[tuple[int, np.ndarray, int, int]]) -> None:
    paths = [seen(stretch, who, 10 * stretch + at, 10 * stretch + at + length) for stretch, who, at, length in steps]
    numbers = numbered(paths)
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    for one, a in zip(numbers, paths, strict=True):
        at_once = [
            other
            for other, b in zip(numbers, paths, strict=True)
            if b is not a and a.first_s <= b.last_s and b.first_s <= a.last_s
        ]
        assert one not in at_once

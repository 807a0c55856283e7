"""The cheapest pairs and the groups are scipy's, on random costs of every shape, with many that are equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from streamproc.logic.assignment import cheapest_matches, cheapest_pairs, groups


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 3.0, 1e6]))
@settings(deadline=None, max_examples=300)
def test_the_sum_is_the_lowest(rows: int, columns: int, seed: int, most: float) -> None:
    cost = np.random.default_rng(seed).uniform(-most, most, (rows, columns))
    found = cheapest_pairs(cost)
    expected = linear_sum_assignment(cost)
    assert [side.tolist() for side in found] == [side.tolist() for side in expected]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=300)
def test_equal_costs_still_give_a_lowest_sum(rows: int, columns: int, seed: int) -> None:
    cost = np.random.default_rng(seed).integers(0, 4, (rows, columns)).astype(float)
    a, b = cheapest_pairs(cost)
    assert len(a) == min(rows, columns) == len(set(b.tolist()))
    assert cost[a, b].sum() == cost[linear_sum_assignment(cost)].sum()


@pytest.mark.parametrize("unmatched", [1e6, 0.6])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 1.0])
def test_matches_are_those_of_the_whole_matrix(unmatched: float, share: float) -> None:
    """A million: as many matches as can be. 0.6: only what is worth it."""
    random = np.random.default_rng(5)
    for _ in range(100):
        shape = tuple(random.integers(1, 20, 2))
        cost = np.where(random.uniform(size=shape) < share, random.uniform(0, 1, shape), unmatched)
        a, b = np.nonzero(np.ones(shape))
        i, j = linear_sum_assignment(np.minimum(cost, unmatched))
        expected = [(x, y) for x, y in zip(i.tolist(), j.tolist(), strict=True) if cost[x, y] < unmatched]
        assert cheapest_matches(a, b, cost[a, b], unmatched) == expected


def test_no_candidates_no_matches() -> None:
    none = np.zeros(0, np.intp)
    assert cheapest_matches(none, none, np.zeros(0), 1.0) == []
    assert cheapest_matches(np.array([0]), np.array([3]), np.array([2.0]), 1.0) == []


def test_a_cost_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        cheapest_pairs(np.array([[0.0, np.nan]]))


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_groups_are_the_connected_components(count: int, pairs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(0, count, (2, pairs))
    label = groups(a, b, count)
    expected = connected_components(coo_matrix((np.ones(pairs), (a, b)), shape=(count, count)), directed=False)[1]
    assert len(set(zip(label.tolist(), expected.tolist(), strict=True))) == len(set(expected.tolist()))
    assert (label <= np.arange(count)).all()

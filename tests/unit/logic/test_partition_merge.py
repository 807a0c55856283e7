"""Several partitions as one feed, by the producers' clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streamproc.logic.partition_merge import PartitionMerge

T0 = datetime(2026, 11, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_nothing_is_given_while_another_partition_may_hold_something_older() -> None:
    merge = PartitionMerge[str]([0, 1], 100)
    merge.add(0, at(4), 1, "late")
    assert merge.take(caught_up=[]) == []
    merge.add(1, at(2), 1, "early")
    assert merge.take(caught_up=[]) == ["early"]
    assert merge.take(caught_up=[0, 1]) == ["late"]


def test_a_partition_that_has_nothing_is_not_waited_for() -> None:
    merge = PartitionMerge[str]([0, 1, 2], 100)
    merge.add(0, at(1), 1, "live")
    assert merge.take(caught_up=[1, 2]) == ["live"]


def test_one_that_runs_ahead_is_full() -> None:
    merge = PartitionMerge[str]([0, 1], 100)
    merge.add(0, at(9), 100, "big")
    assert merge.full() == {0}
    merge.take(caught_up=[0, 1])
    assert merge.full() == set()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=60), st.data())
def test_everything_comes_once_and_in_order(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    """However the partitions' items arrive: each partition in its own order, the whole sorted where each partition is."""
    by_partition = {p: sorted(second for q, second in rows if q == p) for p in range(4)}
    merge = PartitionMerge[int](range(4), 10)
    left = {p: list(seconds) for p, seconds in by_partition.items()}
    taken: list[int] = []
    while any(left.values()):
        partition = data.draw(st.sampled_from([p for p in left if left[p]]))
        second = left[partition].pop(0)
        merge.add(partition, at(second), 1, second)
        taken += merge.take([p for p in left if not left[p]])
    taken += merge.take(range(4))
    assert taken == sorted(second for _, second in rows)

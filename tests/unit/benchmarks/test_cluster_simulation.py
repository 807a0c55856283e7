"""The simulated cluster at a small size: what its table says must be so at any size."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.cluster_simulation import WHAT, Scenarios, by_number
from streamproc.logic.slot_assignment import TOLERANCE, Member, Slot, assign

SMALL = argparse.Namespace(streams=400, nodes=8, slots=128, round_s=3.0)


@pytest.mark.parametrize("scenario", WHAT)
def test_no_scenario_disturbs_a_survivor_of_a_death(scenario: str) -> None:
    cluster = getattr(Scenarios(SMALL, assign), scenario)()
    assert cluster.survivors_moved == 0
    owned = sorted(number for member in cluster.members.values() for number in member.owned)
    assert owned == list(range(SMALL.slots))
    assert scenario == "one_dies" or cluster.imbalance <= TOLERANCE


def test_what_is_compared_with_moves_nearly_everything() -> None:
    cluster = Scenarios(SMALL, by_number).one_dies()
    assert cluster.survivors_moved > SMALL.slots / 2
    found = by_number([Member("a", 1), Member("b", 1)], [Slot(number, 1.0) for number in range(4)])
    assert found.slots == {"a": (0, 2), "b": (1, 3)} and found.imbalance == 0

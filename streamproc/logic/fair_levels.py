"""How much of a total each of several members should carry, where not everybody may carry everything: max-min fairness by capacity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ROUNDS = 200
_CLOSE = 1e-7


@dataclass(frozen=True, slots=True)
class Class:
    """Load that may be divided at will among some members."""

    amount: float
    fitting: frozenset[int]
    """Places of the members who may carry it; where nobody may it is left out."""


def fair_loads(capacities: Sequence[float], classes: Sequence[Class]) -> list[float]:
    """The load of each member, in the unit of ``amount``, that minimises the sum of load squared over capacity.

    That division is the one in which nobody can be eased except at the cost of someone who has as much for its capacity or more. With one class for all
    it is proportional to capacity. Found class by class: each is poured anew over what the others left, until nothing changes; the sum is convex,
    so this converges.
    """
    loads = [0.0] * len(capacities)
    shares: list[dict[int, float]] = [{} for _ in classes]
    total = sum(each.amount for each in classes) or 1.0
    for _ in range(_ROUNDS):
        change = 0.0
        for number, each in enumerate(classes):
            places = sorted(each.fitting)
            before = shares[number]
            others = {place: loads[place] - before.get(place, 0.0) for place in places}
            shares[number] = after = _pour(each.amount, others, capacities)
            for place in places:
                change = max(change, abs(after[place] - before.get(place, 0.0)))
                loads[place] = others[place] + after[place]
        if change <= _CLOSE * total or len(classes) == 1:
            break
    return loads


def _pour(amount: float, loads: dict[int, float], capacities: Sequence[float]) -> dict[int, float]:
    """Add ``amount`` where the level (load over capacity) is lowest, until it is used up. Returns what each got."""
    places = sorted(loads, key=lambda place: (loads[place] / capacities[place], place))
    level, wet, carried = 0.0, 0.0, 0.0
    for place in places:
        if wet and loads[place] / capacities[place] >= (amount + carried) / wet:
            break
        wet += capacities[place]
        carried += loads[place]
        level = (amount + carried) / wet
    return {place: max(0.0, level * capacities[place] - loads[place]) for place in places}

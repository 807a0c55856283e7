"""Bodies of requests that nobody has verified yet take bounded memory."""

from __future__ import annotations

from streamproc.aws.http import BodyBudget


def test_what_does_not_fit_is_refused_until_another_has_ended() -> None:
    budget = BodyBudget(20)
    with budget.lend(12) as first, budget.lend(9) as second, budget.lend(8) as third:
        assert (first, second, third) == (True, False, True)
    with budget.lend(20) as alone:
        assert alone

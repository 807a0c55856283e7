"""Waiting before trying again."""

from __future__ import annotations

from random import Random

import pytest

from streamproc.logic.backoff import Backoff, BackoffRule

STEADY = BackoffRule(first_s=1, factor=2, cap_s=20, low=1.0, healthy_s=30)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 20), (10_000, 20)])
def test_waits_double_up_to_the_cap(failures: int, seconds: float) -> None:
    assert STEADY.wait(failures, Random(0)) == seconds


def test_jitter_stays_within_its_band_and_is_not_constant() -> None:
    rule = BackoffRule(first_s=8, cap_s=8, low=0.5)
    waits = [rule.wait(1, Random(seed)) for seed in range(200)]
    assert min(waits) >= 4 and max(waits) <= 8
    assert len(set(waits)) > 100


def test_a_spell_of_health_resets_it() -> None:
    backoff = Backoff(STEADY, Random(0))
    assert [backoff.failed(now) for now in (0, 1, 3)] == [1, 2, 4]
    backoff.succeeded(10)
    backoff.succeeded(39)
    assert backoff.failed(40) == 1


def test_a_short_success_does_not_reset_it() -> None:
    backoff = Backoff(STEADY, Random(0))
    backoff.failed(0)
    backoff.succeeded(1)
    assert backoff.failed(5) == 2
    backoff.succeeded(6)
    backoff.failed(7)
    assert backoff.failed(60) == 8, "being down is no health"

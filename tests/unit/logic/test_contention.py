"""Two producers of one stream end each other's sessions a few times, not for ever."""

from __future__ import annotations

from streamproc.logic.contention import LIVELY_S, MOST, WITHIN_S, Contention


def test_a_lost_link_is_taken_over_however_often_it_is_lost() -> None:
    stream = Contention()
    assert all(stream.may_take_over(at, at - LIVELY_S - 0.1) for at in range(100))


def test_two_that_alternate_come_to_rest_with_the_one_that_is_there() -> None:
    stream = Contention()
    tries = [stream.may_take_over(0.5 * n, 0.5 * n - 0.1) for n in range(1000)]
    assert tries == [True] * MOST + [False] * (1000 - MOST)
    assert stream.may_take_over(501, 501 - LIVELY_S - 1), "the one that was there has gone silent"


def test_renewing_a_session_now_and_then_is_no_contention() -> None:
    stream = Contention()
    assert all(stream.may_take_over(at, at) for at in (n * (WITHIN_S / MOST + 1) for n in range(100)))

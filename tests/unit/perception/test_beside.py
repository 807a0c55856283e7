"""Calls that idle workers take over: the same answers, whoever gives them."""

import threading

import pytest

from streamproc.perception.beside import ALONE, Beside


def test_answers_are_in_order_and_shared_with_who_helps():
    together = threading.Barrier(2, timeout=30)
    threads: list[threading.Thread] = []

    def help_with(work):
        if threads:
            return False
        threads.append(threading.Thread(target=work))
        threads[0].start()
        return True

    def call(item):
        if item < 2:
            together.wait()  # passed only by two threads at a time
        return item * item

    assert Beside(help_with).map(call, range(5)) == [0, 1, 4, 9, 16]
    threads[0].join()


def test_a_promise_of_help_that_never_comes_is_no_loss():
    late = []

    def help_with(work):
        late.append(work)
        return True

    assert Beside(help_with).map(str, [1, 2, 3]) == ["1", "2", "3"]
    for work in late:
        work()


def test_what_fails_is_raised_when_all_have_ended():
    ended = []

    def call(item):
        ended.append(item)
        if item % 2:
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        ALONE.map(call, [0, 1, 2, 3])
    assert ended == [0, 1, 2, 3]

"""What is wanted against what is: every combination of the inputs, beside the rules written out one by one."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from streamproc.logic.lifecycle import State
from streamproc.logic.reconcile import Action, Actual, Decision, Wanted, decide

NOW = 100.0
DOCUMENT, OTHER = "hash", "another hash"
REST = (State.STOPPED, State.FAILED)
RUNS = (State.STARTING, State.RUNNING)

EVERYTHING = [
    (Wanted(exists, running, here, DOCUMENT, edit_reruns), Actual(state, finished, left_over, retry_at))
    for exists, running, here, edit_reruns, state, finished, left_over, retry_at in itertools.product(
        (True, False),
        (True, False),
        (True, False),
        (True, False),
        (None, *State),
        (None, DOCUMENT, OTHER),
        (True, False),
        (0.0, NOW, NOW + 5, math.inf),
    )
]


def expected(wanted: Wanted, actual: Actual) -> Decision:
    """The rules, in the order in which a reader would say them; the function under test groups them by branch instead."""
    rules: list[tuple[bool, Decision]] = [
        (actual.state is None, Decision(Action.NOTHING)),
        (actual.state is State.STOPPING, Decision(Action.NOTHING)),
        (not wanted.here and actual.state in RUNS, Decision(Action.HAND_OVER)),
        (not wanted.here and not wanted.exists, Decision(Action.DELETE)),
        (not wanted.here, Decision(Action.NOTHING)),
        ((not wanted.exists or not wanted.running) and actual.state in RUNS, Decision(Action.STOP)),
        ((not wanted.exists or not wanted.running) and actual.left_over, Decision(Action.SETTLE)),
        (not wanted.exists, Decision(Action.DELETE)),
        (not wanted.running, Decision(Action.NOTHING)),
        (actual.state in RUNS or actual.state is State.REFUSED, Decision(Action.NOTHING)),
        (actual.finished == DOCUMENT and actual.left_over, Decision(Action.SETTLE)),
        (actual.finished == DOCUMENT, Decision(Action.NOTHING)),
        (actual.finished == OTHER and not wanted.edit_reruns and actual.left_over, Decision(Action.SETTLE)),
        (actual.finished == OTHER and not wanted.edit_reruns, Decision(Action.NOTHING)),
        (actual.state is State.FAILED and actual.retry_at == math.inf, Decision(Action.NOTHING)),
        (actual.state is State.FAILED and actual.retry_at > NOW, Decision(Action.NOTHING, actual.retry_at)),
        (True, Decision(Action.START)),
    ]
    return next(decision for holds, decision in rules if holds)


def test_every_combination() -> None:
    assert len(EVERYTHING) == 2688
    for wanted, actual in EVERYTHING:
        assert decide(wanted, actual, NOW) == expected(wanted, actual), (wanted, actual)


@pytest.mark.parametrize(
    ("wanted", "actual", "action"),
    [
        (Wanted(running=True), Actual(State.STOPPED), "start"),
        (Wanted(running=True), Actual(State.STOPPED, left_over=True), "start"),
        (Wanted(running=True), Actual(State.RUNNING), "nothing"),
        (Wanted(running=True), Actual(State.FAILED), "nothing"),
        (Wanted(running=True), Actual(State.FAILED, retry_at=0), "start"),
        (Wanted(running=True, document=DOCUMENT), Actual(State.STOPPED, DOCUMENT), "nothing"),
        (Wanted(running=True, document=DOCUMENT, edit_reruns=True), Actual(State.STOPPED, OTHER), "start"),
        (Wanted(running=True, document=DOCUMENT), Actual(State.STOPPED, OTHER), "nothing"),
        (Wanted(), Actual(State.RUNNING), "stop"),
        (Wanted(), Actual(State.STOPPED, left_over=True), "settle"),
        (Wanted(running=True, here=False), Actual(State.RUNNING), "hand_over"),
        (Wanted(running=True, here=False), Actual(State.STOPPED), "nothing"),
        (Wanted(running=True, here=False), Actual(State.STOPPED, left_over=True), "nothing"),
        (Wanted(exists=False, running=True), Actual(State.RUNNING), "stop"),
        (Wanted(exists=False, running=True), Actual(State.STOPPED, left_over=True), "settle"),
        (Wanted(exists=False, running=True), Actual(State.STOPPED), "delete"),
    ],
)
def test_in_words(wanted: Wanted, actual: Actual, action: str) -> None:
    assert decide(wanted, actual, NOW).action == action


def test_a_failed_one_is_asked_about_again_when_it_may_be_started() -> None:
    wanted, actual = Wanted(running=True), Actual(State.FAILED, retry_at=NOW + 5)
    assert decide(wanted, actual, NOW) == Decision(Action.NOTHING, NOW + 5)
    assert decide(wanted, actual, NOW + 5) == Decision(Action.START)


def rest(wanted: Wanted, actual: Actual) -> Actual:
    """What is left when everything that is decided has been done."""
    for _ in range(5):
        match decide(wanted, actual, NOW).action:
            case Action.NOTHING:
                return actual
            case Action.START:
                actual = Actual(State.RUNNING)
            case Action.STOP:
                actual = Actual(State.STOPPED)
            case Action.HAND_OVER:
                actual = Actual(State.STOPPED, left_over=True)
            case Action.SETTLE:
                actual = replace(actual, left_over=False)
            case Action.DELETE:
                actual = Actual(None)
    raise AssertionError((wanted, actual))


def test_it_comes_to_rest() -> None:
    """No two actions undo each other, and what is wanted comes to be."""
    for wanted, actual in EVERYTHING:
        after = rest(wanted, actual)
        if not wanted.exists:
            assert after.state in (None, State.STOPPING)
        elif actual.state in RUNS:
            assert (after.state in RUNS) == (wanted.running and wanted.here)

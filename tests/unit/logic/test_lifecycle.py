"""Every state and trigger of a processor's life, against the table written out by hand."""

import itertools

import pytest

from streamproc.core.errors import InUse
from streamproc.logic.lifecycle import Lifecycle, State, Trigger

LEGAL = {
    "stopped": {"start": "starting", "refuse": "refused"},
    "failed": {"start": "starting"},
    "starting": {"ready": "running", "stop": "stopping", "ended": "stopped", "fail": "failed"},
    "running": {"stop": "stopping", "ended": "stopped", "fail": "failed"},
    "stopping": {"ended": "stopped", "fail": "failed"},
    "refused": {"accept": "stopped"},
}


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(State, Trigger)))
def test_table(state: State, trigger: Trigger) -> None:
    life = Lifecycle(state)
    expected = LEGAL[state.value].get(trigger.value)
    assert life.can(trigger) == (expected is not None)
    if expected is None:
        with pytest.raises(InUse, match=state.value):
            life.fire(trigger)
        assert life.state is state
    else:
        assert life.fire(trigger).value == expected


def test_what_cannot_be_persisted_does_not_happen() -> None:
    life = Lifecycle()

    def full(state: State) -> None:
        assert (life.state, state) == (State.STOPPED, State.STARTING)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        life.fire(Trigger.START, full)
    assert life.state is State.STOPPED

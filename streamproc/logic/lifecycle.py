"""The states of a processor and the only ways between them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from streamproc.core.errors import InUse


class State(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"
    REFUSED = "refused"
    """Its document is wrong and there is no good version of it: it exists only so that the user sees why."""


class Trigger(StrEnum):
    START = "start"
    READY = "ready"
    """Its source is being read."""
    STOP = "stop"
    """Its session is to end, or to be handed over."""
    ENDED = "ended"
    FAIL = "fail"
    ACCEPT = "accept"
    """A good document has come for what was refused."""
    REFUSE = "refuse"
    """Its first document is wrong."""


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.STOPPED, Trigger.START): State.STARTING,
    (State.FAILED, Trigger.START): State.STARTING,
    (State.STARTING, Trigger.READY): State.RUNNING,
    (State.STARTING, Trigger.STOP): State.STOPPING,
    (State.RUNNING, Trigger.STOP): State.STOPPING,
    (State.STARTING, Trigger.ENDED): State.STOPPED,
    (State.RUNNING, Trigger.ENDED): State.STOPPED,
    (State.STOPPING, Trigger.ENDED): State.STOPPED,
    (State.STARTING, Trigger.FAIL): State.FAILED,
    (State.RUNNING, Trigger.FAIL): State.FAILED,
    (State.STOPPING, Trigger.FAIL): State.FAILED,
    (State.REFUSED, Trigger.ACCEPT): State.STOPPED,
    (State.STOPPED, Trigger.REFUSE): State.REFUSED,
}

ACTIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})

_WHY = {
    Trigger.START: "it is {state}; only a stopped or failed processor can be started",
    Trigger.STOP: "it is {state}; only a starting or running processor can be stopped",
}


class Lifecycle:
    """One processor's state behind one gate: ``fire`` is the only way to change it."""

    def __init__(self, state: State = State.STOPPED) -> None:
        self.state = state

    def can(self, trigger: Trigger) -> bool:
        return (self.state, trigger) in TRANSITIONS

    def fire(self, trigger: Trigger, persist: Callable[[State], None] | None = None) -> State:
        """The state that ``trigger`` leads to. Raises InUse where the table has no such way.

        ``persist`` is called with that state before it is taken; what it raises leaves the state as it was.
        """
        after = TRANSITIONS.get((self.state, trigger))
        if after is None:
            why = _WHY.get(trigger, "it is {state}; {trigger} does not apply")
            raise InUse(why.format(state=self.state.value, trigger=trigger.value))
        if persist is not None:
            persist(after)
        self.state = after
        return after

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

"""Reconciling one processor: what is wanted of it against what is, and the one thing to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from streamproc.logic.lifecycle import ACTIVE, State


class Action(StrEnum):
    """What to do next. When it is done, ask again."""

    NOTHING = "nothing"
    START = "start"
    """Go on with the session that an earlier process left, else begin one."""
    STOP = "stop"
    """End the session with its summary."""
    HAND_OVER = "hand_over"
    """Leave the session open for whoever runs the processor next."""
    SETTLE = "settle"
    """End, with its summary, the session that an earlier process left."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What configs, callers and ownership say of one processor."""

    exists: bool = True
    """False: its document was withdrawn."""
    running: bool = False
    here: bool = True
    """Whether this node is the one to run it."""
    document: str = ""
    """Hash of its document."""
    edit_reruns: bool = False
    """Whether an edit of the document runs it again after its session ended by itself: so with config files. Otherwise only a
    Start does."""


@dataclass(frozen=True, slots=True)
class Actual:
    """What this node has of the processor."""

    state: State | None
    """None: nothing."""
    finished: str | None = None
    """Hash of the document whose session ended by itself; None: none did since the last start."""
    left_over: bool = False
    """Whether an earlier process left a session's checkpoint. Only known, and only asked, while nothing runs."""
    retry_at: float = math.inf
    """When it may be started again after it failed, on the clock of ``now``; infinity: not unasked."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and when to ask again although nothing has changed."""

    action: Action
    again_at: float | None = None


NOTHING = Decision(Action.NOTHING)


def decide(wanted: Wanted, actual: Actual, now: float) -> Decision:
    """The next step from ``actual`` towards ``wanted``. ``now`` is in seconds on any steady clock."""
    if actual.state is None or actual.state is State.STOPPING:
        return NOTHING  # what is being stopped is asked about again when it has stopped
    active = actual.state in ACTIVE
    if not wanted.here:
        return Decision(Action.HAND_OVER if active else Action.NOTHING if wanted.exists else Action.DELETE)
    if not wanted.exists or not wanted.running:
        return Decision(_towards_rest(wanted, actual, active))
    if active or actual.state is State.REFUSED:
        return NOTHING
    if is_finished(wanted, actual):
        return Decision(Action.SETTLE if actual.left_over else Action.NOTHING)
    if actual.state is State.FAILED and now < actual.retry_at:
        return Decision(Action.NOTHING, actual.retry_at if actual.retry_at < math.inf else None)
    return Decision(Action.START)


def is_finished(wanted: Wanted, actual: Actual) -> bool:
    """Whether its session ended by itself and nobody has asked for another since."""
    if actual.finished is None:
        return False
    return actual.finished == wanted.document or not wanted.edit_reruns


def _towards_rest(wanted: Wanted, actual: Actual, active: bool) -> Action:
    if active:
        return Action.STOP
    if actual.left_over:
        return Action.SETTLE
    return Action.NOTHING if wanted.exists else Action.DELETE

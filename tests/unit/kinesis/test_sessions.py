"""Which of a stream's producers counts, where a cluster's nodes each have one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from streamproc.aws_protocol.faults import AwsFault
from streamproc.kinesis.acks import AckError
from streamproc.kinesis.ingest import PutSession
from streamproc.kinesis.sessions import Sessions
from streamproc.logic.contention import LIVELY_S, MOST, session_mark


@dataclass(eq=False)
class Session:
    """A session without a connection."""

    mark: str
    stream: str = "porch"
    ended: list[str] = field(default_factory=list)
    heard_at: float = float("inf")

    def end(self, error: AckError | None, reason: str) -> None:
        assert error is None
        self.ended.append(reason)


def mark(second: float, chance: str = "a") -> str:
    return session_mark(second, chance)


async def entered(sessions: Sessions, session: Session) -> Session:
    sessions.check(session.stream, "peer")
    await sessions.enter(cast("PutSession", session), "peer")
    return session


async def test_the_newest_counts_wherever_it_is() -> None:
    sessions = Sessions(10, 10**6)
    here = await entered(sessions, Session(mark(100.0)))
    sessions.sent("porch", here.mark)
    sessions.sent("porch", mark(99.0))
    sessions.sent("garden", mark(200.0))
    assert here.ended == []
    sessions.sent("porch", mark(101.0))
    assert here.ended == ["another session of this stream took over, at another node"]


async def test_what_a_node_s_own_session_sent_is_no_other_producer() -> None:
    sessions = Sessions(10, 10**6)
    for second in range(MOST * 3):  # a camera whose link comes and goes
        session = await entered(sessions, Session(mark(float(second))))
        sessions.leave(cast("PutSession", session))
        sessions.sent("porch", session.mark)


async def test_two_producers_do_not_end_each_other_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, clock = [Sessions(10, 10**6), Sessions(10, 10**6)], [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    running: list[Any] = [None, None]
    refused = [0, 0]
    for turn in range(40):
        clock[0] += 0.5
        at = turn % 2
        if running[at] is None:
            try:
                running[at] = await entered(nodes[at], Session(mark(clock[0], str(turn))))
            except AwsFault as fault:
                assert fault.code == "ConnectionLimitExceededException"
                refused[at] += 1
        for one, session in enumerate(running):
            if session is not None:
                nodes[1 - one].sent("porch", session.mark)
        for one, session in enumerate(running):
            if session is not None and session.ended:
                nodes[one].leave(session)
                running[one] = None
    assert sum(session is not None for session in running) == 1, "one of them goes on"
    assert sum(refused) > 10
    loser = running.index(None)
    clock[0] += LIVELY_S + 0.1
    assert await entered(nodes[loser], Session(mark(clock[0]))), "once the other is silent"

"""The PutMedia sessions that run: one for each stream, the newest; a cap on all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from streamproc.aws_protocol.faults import AwsFault
from streamproc.kinesis.acks import AckError
from streamproc.kinesis.ingest import Memory, PutSession
from streamproc.logic.contention import Contention
from streamproc.metrics import KINESIS_SESSIONS, KINESIS_TAKEOVERS
from streamproc.trouble import Trouble

_TAKE_OVER_S = 5.0
_REMEMBERED = 1000
_TWO_PRODUCERS = "Another producer sends to this stream at the same time. Give each producer a stream of its own."


@dataclass(slots=True)
class _Stream:
    """One that has a session."""

    session: PutSession
    peer: str
    contention: Contention
    trouble: Trouble = field(init=False)

    def __post_init__(self) -> None:
        self.trouble = Trouble("producer_refused", "producers_no_longer_refused", stream=self.session.stream)


class _Elsewhere:
    """The producers that a stream has at other nodes."""

    def __init__(self, stream: str) -> None:
        self.heard_at = float("-inf")
        self.trouble = Trouble("producer_refused", "producers_no_longer_refused", stream=stream)
        self._contention = Contention()

    def gives_way(self) -> bool:
        """Whether a new session may end the one there."""
        given = self._contention.may_take_over(time.monotonic(), self.heard_at)
        if given:
            self.trouble.over()
        return given


class Sessions:
    """Use in one event loop."""

    def __init__(self, most: int, max_buffered_bytes: int) -> None:
        self.memory = Memory(max_buffered_bytes)
        self._most = most
        self._running: dict[str, _Stream] = {}
        self._elsewhere: dict[str, _Elsewhere] = {}
        self._mine: deque[str] = deque(maxlen=_REMEMBERED)
        """Marks of sessions that were here: their last fragments come back when they are over."""
        self._all: set[PutSession] = set()

    def check(self, stream: str, peer: str) -> None:
        """Raises AwsFault where there is no room for one more, or another producer is there that does not give way."""
        running, elsewhere = self._running.get(stream), self._elsewhere.get(stream)
        if running is None and elsewhere is not None and not elsewhere.gives_way():
            KINESIS_TAKEOVERS.labels("refused").inc()
            elsewhere.trouble.met("another producer sends to this stream at another node", refused=peer)
            raise AwsFault("ConnectionLimitExceededException", _TWO_PRODUCERS)
        if running is None:
            if len(self._running) >= self._most:
                raise AwsFault(
                    "ClientLimitExceededException",
                    f"{self._most} producers are connected; max_sessions allows no more.",
                )
        elif not running.contention.may_take_over(time.monotonic(), running.session.heard_at):
            KINESIS_TAKEOVERS.labels("refused").inc()
            running.trouble.met("another producer sends to this stream", by=running.peer, refused=peer)
            raise AwsFault("ConnectionLimitExceededException", _TWO_PRODUCERS)

    async def enter(self, session: PutSession, peer: str) -> None:
        """The newest session of a stream is the one that counts: a camera that lost its link gets in while its dead connection lingers."""
        before = self._running.get(session.stream)
        self._all.add(session)
        self._mine.append(session.mark)
        if before is None:
            self._running[session.stream] = _Stream(session, peer, Contention())
            KINESIS_SESSIONS.labels("put").set(len(self._running))
            return
        KINESIS_TAKEOVERS.labels("taken").inc()
        ended, before.session, before.peer = before.session, session, peer
        ended.end(None, f"another session of this stream took over, from {peer}")
        try:
            await asyncio.wait_for(ended.done.wait(), _TAKE_OVER_S)
        except TimeoutError:
            return

    def leave(self, session: PutSession) -> None:
        self._all.discard(session)
        running = self._running.get(session.stream)
        if running is not None and running.session is session:
            running.trouble.over()
            del self._running[session.stream]
        KINESIS_SESSIONS.labels("put").set(len(self._running))

    def sent(self, stream: str, mark: str) -> None:
        """A producer's session has sent a fragment to the stream, here or at another node of the cluster. The newest counts, wherever it is."""
        if mark in self._mine:
            return
        self._elsewhere.setdefault(stream, _Elsewhere(stream)).heard_at = time.monotonic()
        running = self._running.get(stream)
        if running is not None and mark > running.session.mark:
            KINESIS_TAKEOVERS.labels("taken").inc()
            running.session.end(None, "another session of this stream took over, at another node")

    def end(self, stream: str, error: AckError, reason: str) -> None:
        """End the session of one stream, if there is one."""
        running = self._running.get(stream)
        if running is not None:
            running.session.end(error, reason)

    async def close(self) -> None:
        """End all; what is being stored is stored, within a few seconds."""
        sessions = list(self._all)
        for session in sessions:
            session.end(AckError.STREAM_READ_ERROR, "the daemon ends")
        for session in sessions:
            try:
                await asyncio.wait_for(session.settle(), _TAKE_OVER_S)
            except TimeoutError:
                return

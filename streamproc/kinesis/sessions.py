"""The PutMedia sessions that run: one for each stream, the newest; a cap on all."""

from __future__ import annotations

import asyncio

from streamproc.aws_protocol.faults import AwsFault
from streamproc.kinesis.acks import AckError
from streamproc.kinesis.ingest import Memory, PutSession
from streamproc.metrics import KINESIS_SESSIONS

_TAKE_OVER_S = 5.0


class Sessions:
    """Use in one event loop."""

    def __init__(self, most: int, max_buffered_bytes: int) -> None:
        self.memory = Memory(max_buffered_bytes)
        self._most = most
        self._running: dict[str, PutSession] = {}
        self._all: set[PutSession] = set()

    def check(self, stream: str) -> None:
        """Raises AwsFault where there is no room for one more."""
        if len(self._running) >= self._most and stream not in self._running:
            raise AwsFault(
                "ClientLimitExceededException", f"{self._most} producers are connected; max_sessions allows no more."
            )

    async def enter(self, session: PutSession) -> None:
        """The newest session of a stream is the one that counts: a camera that lost its link gets in while its dead connection lingers."""
        before = self._running.get(session.stream)
        self._running[session.stream] = session
        self._all.add(session)
        KINESIS_SESSIONS.labels("put").set(len(self._running))
        if before is not None:
            before.end(None, "another session of this stream took over")
            try:
                await asyncio.wait_for(before.done.wait(), _TAKE_OVER_S)
            except TimeoutError:
                return

    def leave(self, session: PutSession) -> None:
        self._all.discard(session)
        if self._running.get(session.stream) is session:
            del self._running[session.stream]
        KINESIS_SESSIONS.labels("put").set(len(self._running))

    def end(self, stream: str, error: AckError, reason: str) -> None:
        """End the session of one stream, if there is one."""
        session = self._running.get(stream)
        if session is not None:
            session.end(error, reason)

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

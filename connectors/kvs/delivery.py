"""A feed's fragments into a stream, over as many PutMedia sessions as it takes: what was not told PERSISTED is sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from connectors.kvs.put import PutSession
from streamproc.core.errors import SinkBusy
from streamproc.logic.unacknowledged import Unacknowledged
from streamproc.threads import PREPARED

HELD_BYTES = 64_000_000
"""Of fragments that are sent or wait for a connection: over four minutes of 2 Mbit/s. The feed is not read any further meanwhile."""
SETTLE_S = 30.0
"""How long acknowledgements may take after the last fragment."""
PAUSE_S = (0.5, 10.0)
"""Before the second try, and the longest one."""


class Session(Protocol):
    """What is used of ``PutSession``."""

    async def open(self, first: bytes, *, create: bool = True) -> None: ...
    async def send(self, fragment: bytes) -> None: ...
    def acks(self) -> Any: ...
    async def finish(self) -> None: ...
    async def aclose(self) -> None: ...


class Delivery:
    """Sends fragments until they end and all are told PERSISTED.

    ``hear`` gets every acknowledgement, ``say`` what is waited for. ``patience_s``: how long the service may be away once it was there.
    """

    def __init__(
        self,
        session: Callable[[], PutSession | Session],
        *,
        hear: Callable[[dict[str, Any]], None],
        say: Callable[[str], None],
        patience_s: float,
    ) -> None:
        self._session = session
        self._hear = hear
        self._say = say
        self._patience_s = patience_s
        self._held = Unacknowledged(HELD_BYTES)
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._answered = False
        self.stored = 0

    async def run(self, fragments: Iterator[tuple[int, bytes]]) -> int:
        """How many fragments were stored: all. Raises InputError (refused), SinkRejected (an ERROR), SinkBusy (away for too long)."""
        pulling = asyncio.create_task(self._pull(fragments))
        try:
            await self._connections(pulling)
        finally:
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)
        return self.stored

    async def _pull(self, fragments: Iterator[tuple[int, bytes]]) -> None:
        try:
            while (found := await PREPARED.run(next, fragments, None)) is not None:
                self._held.add(*found)
                self._changed.set()
                while self._held.full:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._ended = True
            self._changed.set()

    async def _connections(self, pulling: asyncio.Task[None]) -> None:
        pause, away_since = PAUSE_S[0], None
        while await self._more():
            before = self.stored
            try:
                await self._connection()
                problem = SinkBusy("the service ended the session")
            except SinkBusy as error:
                if not self._answered:
                    raise  # it never was there: a wrong address, most likely
                problem = error
            if self.stored > before:
                pause, away_since = PAUSE_S[0], None
            self._held.rewind()
            if not len(self._held) and self._ended:
                break
            now = time.monotonic()
            away_since = now if away_since is None else away_since
            if now - away_since > self._patience_s:
                raise problem
            self._say(f"connects again in {pause:g} s, {len(self._held)} fragments wait: {problem}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_S[1])
        if pulling.done():
            pulling.result()

    async def _more(self) -> bool:
        """Waits for a fragment. False: all are stored and no more come."""
        while not len(self._held):
            if self._ended:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    async def _connection(self) -> None:
        """One session, until the feed ends and all is acknowledged, or the session ends."""
        session = self._session()
        tasks: list[asyncio.Task[None]] = []
        try:
            first = self._held.next()
            assert first is not None
            await session.open(first)
            tasks = [asyncio.create_task(self._listen(session)), asyncio.create_task(self._send(session))]
            listening, sending = tasks
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                sending.result()
                async with asyncio.timeout(SETTLE_S):
                    await asyncio.shield(listening)
            listening.result()
        except TimeoutError:
            raise SinkBusy(f"{len(self._held)} fragments were not acknowledged in {SETTLE_S:g} s") from None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await session.aclose()

    async def _send(self, session: PutSession | Session) -> None:
        while True:
            self._changed.clear()
            if (fragment := self._held.next()) is not None:
                await session.send(fragment)
            elif self._ended:
                await session.finish()
                return
            else:
                await self._changed.wait()

    async def _listen(self, session: PutSession | Session) -> None:
        async for ack in session.acks():
            self._answered = True
            self._hear(ack)
            if ack.get("EventType") == "PERSISTED":
                self.stored += self._held.persisted(int(ack.get("FragmentTimecode", -1)))
                self._room.set()

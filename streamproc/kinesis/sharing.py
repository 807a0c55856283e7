"""The streams of a cluster: names, versions, tags and retention stand in a compacted topic that each node writes to and follows.

The newest in the order of the log counts. What was shared last is remembered beside the streams, so that a node which was away tells a stream
that was deleted meanwhile from one that nobody has seen yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import structlog

from connectors.kafka.table import TableTopic
from streamproc.core.errors import SinkError, SourceError
from streamproc.kinesis.log import VideoLog
from streamproc.store.database import Database
from streamproc.threads import FRAGMENTS
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 2.0
HEAR_S = 1.0
"""Within this time a node has heard of a stream that another one has made."""
TOLD_S = 5.0
"""So long a caller waits at most until the cluster has what was asked for."""


class SharedStreams:
    """Belongs to the event loop."""

    def __init__(self, video: VideoLog, database: Database, table: TableTopic, cluster: str) -> None:
        self._video = video
        self._database = database
        self._table = table
        self._fact = f"streams shared with {cluster}"
        self._before: dict[str, str] = {}
        """Hash by name of what was shared when this node was last in step."""
        self._held: dict[str, bytes] = {}
        """What stands in the topic."""
        self._places: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._on_the_way: set[str] = set()
        """Changed here, and being told: what others say of them meanwhile waits until it is known which came later."""
        self.in_step = asyncio.Event()
        """Set once everything that the topic held is so here."""
        self._news = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._trouble = Trouble("streams_wait", "streams_shared", cluster=cluster)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        before = await FRAGMENTS.run(self._database.get, self._fact)
        self._before = json.loads(before or "{}")
        self._video.streams.changed = lambda name: _in(loop, self._changed, name)
        self._video.told = self._told
        self._video.patience_s = HEAR_S
        self._tasks = [
            asyncio.create_task(self._follow(), name="streams of other nodes"),
            asyncio.create_task(self._share(), name="streams for other nodes"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._table.stop()

    async def caught_up(self, within_s: float) -> None:
        """Until this node has what was said while it was away, or the time is over."""
        await _wait(self.in_step, within_s)

    async def _told(self) -> None:
        await asyncio.sleep(0)  # what a thread has changed is heard in the loop's next turn
        await _wait(self._all_told, TOLD_S)

    def _changed(self, name: str) -> None:
        self._dirty.add(name)
        self._all_told.clear()
        self._news.set()

    # -- out

    async def _share(self) -> None:
        await self.in_step.wait()
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._tell()
                self._trouble.over()
            except Exception as error:  # noqa: BLE001 - what was said is told until the cluster has it
                self._trouble.met(error, bug=None if isinstance(error, SinkError) else error)
                await asyncio.sleep(AGAIN_S)
            if self._dirty:
                self._news.set()
            else:
                self._all_told.set()

    async def _tell(self) -> None:
        """What is dirty. It stays so where it cannot be told."""
        names, self._dirty = self._dirty, set()
        self._on_the_way = names
        try:
            rows = {name: await FRAGMENTS.run(self._mine, name) for name in sorted(names)}
            changed = {name: row for name, row in rows.items() if row != self._held.get(name)}
            places = await self._table.put(changed) if changed else {}
        except BaseException:
            self._dirty |= names
            raise
        finally:
            self._on_the_way = set()
        for name, row in changed.items():
            self._keep(name, row, places[name])
        for name in sorted(names - self._dirty):
            if rows[name] != self._held.get(name):  # somebody else's change came later
                await self._apply(name)
        await self._remember()

    def _mine(self, name: str) -> bytes | None:
        row = self._video.streams.row(name)
        return None if row is None else _encoded(row)

    # -- in

    async def _follow(self) -> None:
        while True:
            try:
                async for batch in self._table.follow():
                    news = {each.key for each in batch.changes if self._keep(each.key, each.value, each.place)}
                    if self.in_step.is_set():
                        for name in sorted(news - self._dirty - self._on_the_way):
                            await self._apply(name)
                        if news:
                            await self._remember()
                    elif batch.complete:
                        await self._catch_up()
            except SourceError as error:
                self._trouble.met(error)
            except Exception as error:  # noqa: BLE001 - what should be followed is never given up
                self._trouble.met(repr(error), bug=error)
            await asyncio.sleep(AGAIN_S)

    async def _catch_up(self) -> None:
        """All that stands in the topic is known: what was changed here meanwhile goes out, the rest comes in."""
        if self._before and not self._places:
            log.warning("stream_topic_is_empty", shared_before=len(self._before), now="all are handed on again")
            self._before = {}
        names = await FRAGMENTS.run(self._video.streams.names)
        for name in sorted({*names, *self._held}):
            mine, theirs, before = (
                await FRAGMENTS.run(self._mine, name),
                self._held.get(name),
                self._before.get(name),
            )
            if mine == theirs:
                continue
            changed_here = _hash(mine) != before if before is not None else theirs is None
            if changed_here:
                self._changed(name)
            else:
                await self._apply(name)
        await self._remember()
        self.in_step.set()

    def _keep(self, name: str, value: bytes | None, place: int) -> bool:
        """Whether it is newer than what was known."""
        if place <= self._places.get(name, -1):
            return False
        self._places[name] = place
        if value is None:
            self._held.pop(name, None)
        else:
            self._held[name] = value
        return True

    async def _apply(self, name: str) -> None:
        """Make a stream what the topic says."""
        value = self._held.get(name)
        if value is None:
            await FRAGMENTS.run(self._video.streams.take_out, name)
            await self._video.forget(name)
            return
        try:
            await FRAGMENTS.run(self._video.streams.put, {**json.loads(value), "name": name})
        except (ValueError, TypeError) as error:
            log.error("stream_not_taken", stream=name, reason=str(error))

    async def _remember(self) -> None:
        shared = {name: _hash(value) for name, value in self._held.items()}
        await FRAGMENTS.run(self._database.put, self._fact, json.dumps(shared))


def _encoded(row: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(row), sort_keys=True).encode()


def _hash(value: bytes | None) -> str:
    return hashlib.sha256(value or b"").hexdigest()


async def _wait(event: asyncio.Event, within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()


def _in(loop: asyncio.AbstractEventLoop, call: Any, name: str) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended; it is told at the next start
        loop.call_soon_threadsafe(call, name)

"""News for all who watch: read once from the journal, kept for a moment, sent to each viewer at its own pace.

The journal is every viewer's queue: a viewer is a sequence number, so one that is slow, away or killed loses nothing and no memory grows.
States, jobs and health are not replayed; of these a viewer that is behind gets the newest of each.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from streamproc.core.errors import LimitExceeded
from streamproc.logic.event_query import FACES
from streamproc.logic.nameless import nameless
from streamproc.server.events import event_document
from streamproc.store.history import History, Kept
from streamproc.store.journal import Journal
from streamproc.threads import HISTORY
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

RING = 256
"""Newest events that are kept rendered, for viewers that are nearly up to date."""
BATCH = 100
MAX_PENDING = 256
"""States, jobs and health that wait for one viewer, each counted once; with more it is told to load everything anew."""
MAX_VIEWERS = 200
LOOK_EVERY_S = 1.0

Snapshot = Callable[[], Awaitable[Mapping[tuple[str, str], Mapping[str, Any]]]]
"""How everything of some topics stands: documents by topic and key."""


@dataclass(frozen=True, slots=True)
class News:
    """One event, rendered."""

    seq: int
    of_face: bool
    words: bytes
    nameless: bytes
    """The same without the people in it."""


@dataclass(eq=False)
class Viewer:
    """One open stream."""

    faces: bool = True
    """Whether it may see events about faces, and jobs."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pending: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """The newest of each topic and key that was not sent yet."""
    overrun: bool = False
    """It missed some of them."""

    def sees(self, topic: str) -> bool:
        """Jobs are for who may review, as events about faces are."""
        return self.faces or topic != "job"

    def put(self, key: tuple[str, str], words: bytes) -> None:
        if key not in self.pending and len(self.pending) >= MAX_PENDING:
            self.pending.clear()
            self.overrun = True
        self.pending[key] = words
        self.wake.set()

    def take(self) -> list[bytes]:
        taken = list(self.pending.values())
        self.pending.clear()
        return taken


class Feed:
    """Belongs to the event loop. Does nothing while nobody watches."""

    def __init__(self, journal: Journal, snapshots: list[Snapshot]) -> None:
        """``snapshots``: asked every second, and each time a viewer comes, how the other topics stand."""
        self.history: History = journal.history
        self.snapshots = snapshots
        self.closing = False
        self._journal = journal
        self._viewers: set[Viewer] = set()
        self._ring: deque[News] = deque()
        self._floor = 0
        """The ring holds every event after this sequence up to ``_position``."""
        self._position = 0
        self._wake = asyncio.Event()
        self._look = asyncio.Event()
        self._known: dict[tuple[str, str], str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        self._journal.observers.append(self._committed)
        self._tasks = [
            asyncio.create_task(self._guarded(self._read_news), name="feed events"),
            asyncio.create_task(self._guarded(self._compare), name="feed states"),
        ]

    async def close(self) -> None:
        """Every stream ends; browsers come back by themselves."""
        self.closing = True
        self._journal.observers.remove(self._committed)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for viewer in self._viewers:
            viewer.wake.set()

    async def join(self, faces: bool) -> Viewer:
        """A viewer that is woken by all news from now on. Raises LimitExceeded."""
        if len(self._viewers) >= MAX_VIEWERS:
            raise LimitExceeded(f"{MAX_VIEWERS} streams are open already")
        viewer = Viewer(faces)
        first = not self._viewers
        self._viewers.add(viewer)
        if first:
            self._ring.clear()
            self._floor = self._position = await HISTORY.run(self.history.latest)
            self._wake.set()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    async def after(self, seq: int) -> list[News]:
        """Events after a sequence, oldest first, at most a batch; empty: there is none yet."""
        if seq >= self._floor:
            return [news for news in self._ring if news.seq > seq]
        return [render(kept) for kept in await HISTORY.run(self.history.since, seq, BATCH)]

    async def standing(self, viewer: Viewer) -> list[bytes]:
        """How all other topics stand that the viewer may see."""
        found = (await self._snapshot()).items()
        shown = (lambda document: document) if viewer.faces else nameless
        return [message(key[0], shown(document)) for key, document in found if viewer.sees(key[0])]

    def look(self) -> None:
        """Something of the other topics may have changed: compare at once."""
        self._look.set()

    def _committed(self) -> None:
        """In the committing thread."""
        with suppress(RuntimeError):  # the loop is closing
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        trouble = Trouble("feed_failed", "feed_goes_on")
        while True:
            try:
                await work()
                trouble.over()
            except Exception as error:  # noqa: BLE001 - the feed's boundary: a disk that is full now must not end it for good
                trouble.met(repr(error), bug=error)
                await asyncio.sleep(LOOK_EVERY_S)

    async def _read_news(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        while self._viewers:
            found = await HISTORY.run(self.history.since, self._position, BATCH)
            for kept in found:
                if kept.seq > self._position:
                    self._ring.append(render(kept))
                    self._position = kept.seq
            while len(self._ring) > RING:
                self._floor = self._ring.popleft().seq
            for viewer in self._viewers if found else ():
                viewer.wake.set()
            if len(found) < BATCH:
                return

    async def _compare(self) -> None:
        """Send what has changed of the other topics."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._look.wait(), LOOK_EVERY_S)
        self._look.clear()
        if not self._viewers:
            return
        now = await self._snapshot()
        texts = {key: json.dumps(document, default=str) for key, document in now.items()}
        for key, text in texts.items():
            if self._known.get(key) != text:
                self._send(key, now[key])
        for topic, name in self._known.keys() - texts.keys():
            self._send((topic, name), {"name": name, "state": "deleted"})
        self._known = texts

    async def _snapshot(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for snapshot in self.snapshots:
            found.update(await snapshot())
        return found

    def _send(self, key: tuple[str, str], document: Mapping[str, Any]) -> None:
        """Written out once for all, or twice where some may not know who was seen."""
        words: dict[bool, bytes] = {}
        for viewer in self._viewers:
            if viewer.sees(key[0]):
                if viewer.faces not in words:
                    words[viewer.faces] = message(key[0], document if viewer.faces else nameless(document))
                viewer.put(key, words[viewer.faces])


def render(kept: Kept) -> News:
    document = event_document(kept)
    whole, bare = (message("event", each, kept.seq) for each in (document, nameless(document)))
    return News(kept.seq, document["type"] in FACES, whole, bare)


def message(topic: str, document: Mapping[str, Any], seq: int | None = None) -> bytes:
    """One server-sent event. Only with ``seq`` has it an id, so that the others do not move the place where a viewer goes on."""
    place = "" if seq is None else f"id: {seq}\n"
    return f"{place}event: {topic}\ndata: {json.dumps(document, ensure_ascii=False, default=str)}\n\n".encode()

"""Face collections that several nodes share: every change goes to one log, sealed, and every node applies the log to its own file.

Searches stay local. Of two nodes that change the same row the later in the log stands, on all of them. All seal with one key: the first node that
came to the log has said which (its claim), and one with another key hands nothing on and applies nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Protocol

import structlog

from streamproc.core.errors import InputError, StateError, StreamprocError
from streamproc.faces.sealing import Seal
from streamproc.logic.backoff import Backoff, BackoffRule
from streamproc.logic.state_codec import pack, unpack
from streamproc.store.collection_changes import CollectionChanges
from streamproc.store.shared_rows import Kind, RowName, SharedRow
from streamproc.threads import FACE_ROWS
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.5
"""How long a change that another process made (``faces enrol``) waits at most until it is handed on."""
BATCH = 200
CLAIM = "@key/"
"""Keys of the log that begin so name a key of the seal; rows are named by hexadecimal digits. The first in the order of the log counts."""
_KIND, _VERSION = "shared face row", 1


class Change(Protocol):
    """A key of the log and what stands under it from ``place`` on."""

    @property
    def key(self) -> str: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def place(self) -> int: ...


class Batch(Protocol):
    @property
    def changes(self) -> Sequence[Change]: ...

    @property
    def complete(self) -> bool:
        """Whether everything that stood in the log when reading began has been given out."""
        ...


class TableLog(Protocol):
    """A log of changes by key, in one order for all. Raises StreamprocError while it cannot be reached."""

    async def put(self, changes: Mapping[str, bytes | None]) -> dict[str, int]:
        """The place of each, when it is durable."""
        ...

    def follow(self) -> AsyncIterator[Batch]: ...

    async def stop(self) -> None: ...


class SharedFaces:
    """Keeps one data directory's collections in step with a log. Use in one event loop."""

    def __init__(self, changes: CollectionChanges, table: TableLog, seal: Seal, cluster: str, node: str = "") -> None:
        """``node``: how others are told who sealed first."""
        self._changes = changes
        self._table = table
        self._seal = seal
        self._claim = CLAIM + seal.alias("the key itself")[:16]
        # With another key all rows have other names in the log: what was known of them says nothing then.
        self._cluster = f"{cluster} {self._claim}"
        self._node = node
        self._ahead: dict[str, int] = {}
        """Places at which rows of this node stand that were not read back yet: what lies before them is older."""
        self._overtaken: dict[str, tuple[int, SharedRow]] = {}
        """Rows of others that were read while a change of this node waited to be handed on."""
        self._handing: dict[str, SharedRow] = {}
        """Rows that are on their way into the log."""
        self._waiting: dict[str, SharedRow] = {}
        """Rows whose collection has not come yet."""
        self._claimed = False
        """Whether this node has put its claim into the log since it began to read."""
        self._turn = asyncio.Lock()
        """One at a time looks at what was changed here and what came."""
        self._tasks: list[asyncio.Task[None]] = []
        self.in_step = asyncio.Event()
        """Set once everything that the log held has been applied."""
        self._troubles = {"others": "", "own": ""}
        self._told = {side: Trouble("faces_not_shared", "faces_shared_again", side=side) for side in self._troubles}

    @property
    def trouble(self) -> str:
        """What keeps this node from sharing; empty while nothing does."""
        return self._troubles["own"] or self._troubles["others"]

    def open(self) -> None:
        self._tasks = [
            asyncio.create_task(self._for_ever("others", self._follow), name="faces from others"),
            asyncio.create_task(self._for_ever("own", self._hand_on), name="faces for others"),
        ]

    async def close(self) -> None:
        """What was not handed on yet is when this node is back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._table.stop()

    async def _for_ever(self, side: str, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(BackoffRule(cap_s=10.0), Random())
        while True:
            try:
                await work()
            except StreamprocError as error:
                self._told[side].met(error)
                self._troubles[side] = str(error)
            except Exception as error:  # noqa: BLE001 - the task's boundary: one bad moment must not end the sharing for good
                self._told[side].met(repr(error), bug=error)
                self._troubles[side] = "an internal error; see the log"
            await asyncio.sleep(backoff.failed(time.monotonic()))

    # -- to the others

    async def _hand_on(self) -> None:
        await self.in_step.wait()  # so that what others deleted while this node was away is not handed on anew
        while True:
            rows, number = await FACE_ROWS.run(self._changes.pending, BATCH)
            if not number:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            named = {self._seal.alias(row.name.text): row for row in rows}
            self._handing = named
            places = await self._table.put({key: self._sealed(key, row) for key, row in named.items()})
            self._troubles["own"] = ""
            self._told["own"].over()
            async with self._turn:
                self._handing = {}
                self._ahead |= places
                await FACE_ROWS.run(self._changes.handed_on, number, named)
                newer = {key: self._overtaken.pop(key) for key in named.keys() & self._overtaken.keys()}
                await self._apply({key: placed for key, placed in newer.items() if placed[0] > places[key]})

    def _sealed(self, key: str, row: SharedRow) -> bytes | None:
        if row.values is None:
            return None
        name = [row.name.kind.value, row.name.collection, row.name.item]
        return self._seal.seal(pack(_KIND, _VERSION, {"name": name, "values": dict(row.values)}), key)

    # -- from the others

    async def _follow(self) -> None:
        self.in_step.clear()
        self._claimed = False
        first: dict[str, Change] | None = {}
        async for batch in self._table.follow():
            changes = {change.key: change for change in batch.changes}
            if first is not None:
                first |= changes
                if not await self._agree(first, batch.complete):
                    continue
                await self._catch_up(_rows(first))
                first = None
                self.in_step.set()
            elif rows := _rows(changes):
                await self._take(rows)
            self._troubles["others"] = ""
            self._told["others"].over()

    async def _agree(self, found: Mapping[str, Change], complete: bool) -> bool:
        """Whether the rows of the log are sealed with this node's key; says so where no node has yet. Raises InputError where the key is another."""
        claims = [each for key, each in found.items() if key.startswith(CLAIM) and each.value is not None]
        if not claims:
            if complete and not self._claimed:
                await self._table.put({self._claim: json.dumps({"node": self._node, "at": time.time()}).encode()})
                self._claimed = True
            return False  # it is read back: another node may have been faster
        first = min(claims, key=lambda each: each.place)
        if first.key != self._claim:
            raise InputError(
                f"faces.key_file: this node's key is not the one that the cluster's faces are sealed with{_by(first)}; "
                f"give every node the same key file"
            )
        return complete

    async def _catch_up(self, found: Mapping[str, Change]) -> None:
        """The whole log: what it does not hold any more has been deleted meanwhile."""
        await FACE_ROWS.run(self._changes.share_with, self._cluster)
        known = await FACE_ROWS.run(self._changes.keys)
        if known and not found:
            log.warning("face_log_is_empty", shared_before=len(known), now="all faces of this node are handed on again")
            await FACE_ROWS.run(self._changes.share_anew)
            return
        await self._take(found)
        async with self._turn:
            await self._apply(await FACE_ROWS.run(self._gone, known - found.keys()))

    def _gone(self, keys: set[str]) -> dict[str, tuple[int, SharedRow]]:
        named = {key: self._changes.known(key) for key in keys}
        return {key: (-1, SharedRow(name, None)) for key, name in named.items() if name is not None}

    async def _take(self, changes: Mapping[str, Change]) -> None:
        """The newest change of each key."""
        async with self._turn:
            fresh = {key: change for key, change in changes.items() if change.place >= self._ahead.get(key, -1)}
            for key in fresh:
                self._ahead.pop(key, None)
                self._overtaken.pop(key, None)
            rows = await FACE_ROWS.run(self._opened, fresh)
            await self._apply({key: (fresh[key].place, row) for key, row in rows.items()})

    async def _apply(self, rows: Mapping[str, tuple[int, SharedRow]]) -> None:
        """By key, with their places, and what waits for a collection that may be here now. The caller has the turn."""
        if not rows and not self._waiting:
            return
        together = self._waiting | {key: row for key, (_, row) in rows.items()}
        left = await FACE_ROWS.run(self._changes.apply, together)
        self._waiting = left.waiting
        self._overtaken |= {key: rows[key] for key in left.changed_here if key in rows}

    def _opened(self, changes: Mapping[str, Change]) -> dict[str, SharedRow]:
        rows: dict[str, SharedRow] = {}
        for key, change in changes.items():
            if change.value is None:
                row = self._handing.get(key) or self._waiting.get(key)
                name = row.name if row is not None else self._changes.known(key)
                if name is not None:
                    rows[key] = SharedRow(name, None)
                continue
            try:
                document = unpack(self._seal.open(change.value, key), _KIND, _VERSION)
                kind, collection, item = document["name"]
                rows[key] = SharedRow(RowName(Kind(kind), collection, item), document["values"])
            except (InputError, StateError, KeyError, ValueError) as error:
                log.error("shared_face_unreadable", reason=str(error))
        return rows


def _rows(changes: Mapping[str, Change]) -> dict[str, Change]:
    return {key: change for key, change in changes.items() if not key.startswith(CLAIM)}


def _by(claim: Change) -> str:
    """Who said so, where that can be read."""
    try:
        node = json.loads(claim.value or b"")["node"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" (by node {node})" if node else ""

"""Face collections that several nodes share: stores on disk and real seals over a log in memory, one order for all."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import pytest

from streamproc.core.errors import AlreadyExists, NotFound, SourceError
from streamproc.core.faces import StoredFace
from streamproc.core.vision import Box
from streamproc.faces.calibration import Curve
from streamproc.faces.library import Library
from streamproc.faces.sealing import Seal
from streamproc.faces.sharing import CLAIM, SharedFaces
from streamproc.store.collection_changes import CollectionChanges
from streamproc.store.collections import CollectionStore, FaceRow

MODEL, DIMENSIONS = "model/abc/1", 16
KEY = bytes(range(32))
MARK = np.frombuffer(b"FINDME-IN-FILES!" * 4, np.float32).copy()
"""A vector whose bytes can be searched for."""


@dataclass
class Change:
    key: str
    value: bytes | None
    place: int


@dataclass
class Batch:
    changes: list[Change]
    complete: bool


@dataclass
class Log:
    """In memory. ``away``: nobody reaches it. ``delay``: seconds until what was put is answered, while it can be read already."""

    entries: list[Change] = field(default_factory=list)
    away: bool = False
    chance: Random | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, changes: Mapping[str, bytes | None]) -> dict[str, int]:
        if self.away:
            raise SourceError("the log is away")
        places = {}
        for key, value in changes.items():
            await self._pause()
            places[key] = len(self.entries)
            self.entries.append(Change(key, value, len(self.entries)))
            self.news.set()
        await self._pause()
        return places

    async def follow(self) -> AsyncIterator[Batch]:
        """As after compaction: the newest of each key that stood, then what comes."""
        place = len(self.entries)
        newest = {change.key: change for change in self.entries}
        yield Batch(sorted(newest.values(), key=lambda change: change.place), True)
        while True:
            if self.away:
                raise SourceError("the log is away")
            found, place = self.entries[place : place + 3], min(len(self.entries), place + 3)
            yield Batch(found, True)
            if place == len(self.entries):
                self.news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.news.wait(), 0.02)
            await self._pause()

    async def stop(self) -> None: ...

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.choice((0, 0, 0.005, 0.02)) if self.chance else 0)

    def compact(self) -> None:
        """Tombstones go too: who was away has missed them."""
        newest = {change.key: change for change in self.entries}
        self.entries = [change for change in self.entries if newest[change.key] is change and change.value is not None]
        for place, change in enumerate(self.entries):
            change.place = place


class Late(Log):
    """Another node claims it for another key just before the first."""

    async def put(self, changes: Mapping[str, bytes | None]) -> dict[str, int]:
        if not self.entries:
            self.entries.append(Change(f"{CLAIM}other", b'{"node": "z"}', 0))
        return await super().put(changes)


@dataclass
class Node:
    store: CollectionStore
    shared: SharedFaces

    def picture(self) -> dict[str, object]:
        """All that can be seen of the collections, without numbers of the node's own."""
        return {
            row.name: (
                row.model,
                dict(row.tags),
                {face.face_id: face for _, face in self.store.faces(row.name)},
                {
                    face.face_id: vector.tobytes()
                    for numbers, vectors in self.store.vectors(row.name)
                    for face, vector in zip(self.store.faces_at(map(int, numbers)).values(), vectors, strict=True)
                },
                sorted(self.store.users.all(row.name)),
                sorted((person, vector.tobytes()) for person, vector in self.store.denials(row.name)),
            )
            for row in self.store.all()
        }


def face(name: str = "alice", vector: np.ndarray | None = None) -> FaceRow:
    stored = StoredFace(str(uuid.uuid4()), str(uuid.uuid4()), name, Box(0.1, 0.1, 0.3, 0.4), 99.0, "1.1")
    value = np.random.default_rng().normal(size=DIMENSIONS).astype(np.float32) if vector is None else vector
    return FaceRow(stored, value / np.linalg.norm(value) if vector is None else value, os.urandom(8))


@asynccontextmanager
async def node(folder: Path, log: Log, key: bytes = KEY, at_rest: bool = True) -> AsyncIterator[Node]:
    store = CollectionStore(folder, Seal(key) if at_rest else None)
    shared = SharedFaces(CollectionChanges(store), log, Seal(key), "site", folder.name)
    shared.open()
    try:
        yield Node(store, shared)
    finally:
        await shared.close()
        store.close()


async def until(check: Callable[[], bool], what: str) -> None:
    for _ in range(1500):
        if await asyncio.to_thread(check):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {what}")


async def in_step(*nodes: Node) -> None:
    def same() -> bool:
        noted = [each.store.database.read().execute("SELECT count(*) FROM changes").fetchone()[0] for each in nodes]
        return not any(noted) and all(each.picture() == nodes[0].picture() for each in nodes[1:])

    await until(same, "all nodes have the same")


async def test_what_one_node_does_all_nodes_have(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log, at_rest=False) as b:
        a.store.create("family", MODEL, DIMENSIONS, 1000.0, {"a": "b"})
        kept, other = a.store.add_faces("family", [face("alice", MARK), face("bob")])
        a.store.users.create("family", "u1", 5.0)
        await in_step(a, b)
        b.store.users.assign("family", [kept.face_id], "u1")
        b.store.deny("family", "alice", np.ones(DIMENSIONS, np.float32), 7.0)
        b.store.set_tags("family", {"c": "d"})
        b.store.delete_faces("family", [other.face_id])
        await in_step(a, b)
        assert a.store.users.associated("family")[0][1] == "u1" and a.store.counts("family") == (1, 1)
        found = Library(a.store, MODEL, Curve(0.36, 0.72)).open("family")
        assert found.size == 1 and found.search(MARK[None] / np.linalg.norm(MARK), 0, 5)
        b.store.users.delete("family", "u1")
        await in_step(a, b)
        assert a.store.faces("family")[0][1].user_id is None
        a.store.drop("family")
        await in_step(a, b)
        assert b.store.all() == []


async def test_a_search_sees_what_another_node_enrolled(tmp_path: Path) -> None:
    """The indexes in memory follow, as they do when another process of the same node enrols."""
    log = Log()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        library = Library(b.store, MODEL, Curve(0.36, 0.72))
        a.store.create("family", MODEL, DIMENSIONS, 1.0, {})
        await in_step(a, b)
        assert library.open("family").size == 0
        row = face("alice")
        (stored,) = a.store.add_faces("family", [row])
        await in_step(a, b)
        ((match,),) = library.open("family").search(row.vector[None], 90, 5)
        assert match.face.external_image_id == "alice"
        a.store.delete_faces("family", [stored.face_id])
        await in_step(a, b)
        assert library.open("family").search(row.vector[None], 0, 5) == [[]]


async def test_nothing_in_the_log_can_be_read_without_the_key(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        a.store.create("family-of-smith", MODEL, DIMENSIONS, 1000.0, {"street": "elm"})
        a.store.add_faces("family-of-smith", [face("alice-smith", MARK)])
        a.store.users.create("family-of-smith", "user-smith", 5.0)
        await in_step(a, b)
        everything = b"".join(change.key.encode() + (change.value or b"") for change in log.entries)
        for word in (b"smith", b"elm", MARK.tobytes()[:16], MODEL.encode()):
            assert word not in everything
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "b").iterdir())
    assert MARK.tobytes()[:16] not in on_disk


async def test_what_was_deleted_while_a_node_was_away_goes_there_too(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a:
        async with node(tmp_path / "b", log) as b:
            a.store.create("family", MODEL, DIMENSIONS, 1.0, {})
            gone, _ = a.store.add_faces("family", [face("alice", MARK), face("bob")])
            a.store.create("guests", MODEL, DIMENSIONS, 1.0, {})
            await in_step(a, b)
        a.store.delete_faces("family", [gone.face_id])
        a.store.drop("guests")
        await until(lambda: not a.shared._changes.pending()[1], "handed on")
        log.compact()
        async with node(tmp_path / "b", log) as b:
            await in_step(a, b)
            assert b.store.counts("family") == (1, 0) and len(b.store.all()) == 1
    assert not any(MARK.tobytes()[:16] in path.read_bytes() for path in (tmp_path / "b").iterdir()), "wiped"


async def test_what_each_had_before_is_brought_together(tmp_path: Path) -> None:
    log = Log()
    for name in ("a", "b"):
        store = CollectionStore(tmp_path / name, Seal(KEY))
        store.create("family", MODEL, DIMENSIONS, 1.0, {})
        store.create(f"only-{name}", MODEL, DIMENSIONS, 1.0, {})
        store.add_faces("family", [face(f"from-{name}")])
        store.close()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        await in_step(a, b)
        assert {each.external_image_id for _, each in a.store.faces("family")} == {"from-a", "from-b"}
        assert {row.name for row in b.store.all()} == {"family", "only-a", "only-b"}


async def test_what_is_done_while_the_log_is_away_follows(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        a.store.create("family", MODEL, DIMENSIONS, 1.0, {})
        await in_step(a, b)
        log.away = True
        a.store.add_faces("family", [face("alice")])
        b.store.add_faces("family", [face("bob")])
        await until(lambda: bool(a.shared.trouble and b.shared.trouble), "both say so")
        log.away = False
        await in_step(a, b)
        assert a.store.counts("family") == (2, 0)
        await until(lambda: not (a.shared.trouble or b.shared.trouble), "it is over")


async def test_a_log_that_was_lost_is_filled_again(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a:
        a.store.create("family", MODEL, DIMENSIONS, 1.0, {})
        a.store.add_faces("family", [face("alice")])
        await until(lambda: not a.shared._changes.pending()[1], "handed on")
    log.entries.clear()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        await until(lambda: bool(b.store.all()), "it came again")
        await in_step(a, b)
        assert b.store.counts("family") == (1, 0)


async def test_another_key_is_said_and_changes_nothing(tmp_path: Path) -> None:
    """On neither side; with the right key the node has everything, and so have the others what it was told meanwhile."""
    log = Log()
    async with node(tmp_path / "a", log) as a:
        a.store.create("family", MODEL, DIMENSIONS, 1.0, {})
        async with node(tmp_path / "b", log, at_rest=False) as b:
            await in_step(a, b)
        before = len(log.entries)
        async with node(tmp_path / "b", log, key=bytes(32), at_rest=False) as b:
            b.store.create("guests", MODEL, DIMENSIONS, 1.0, {})
            await until(lambda: "faces.key_file" in b.shared.trouble and "(by node " in b.shared.trouble, "it says so")
            assert len(log.entries) == before and not b.shared.in_step.is_set()
        a.store.drop("family")
        await until(lambda: not a.shared._changes.pending()[1], "handed on")
        async with node(tmp_path / "b", log, at_rest=False) as b:
            await in_step(a, b)
            assert not b.shared.trouble and [row.name for row in a.store.all()] == ["guests"]


async def test_the_first_in_the_log_says_which_key_counts(tmp_path: Path) -> None:
    """Also where another was about to say so at the same time."""
    log = Log()
    log.entries.append(Change(f"{CLAIM}other", b"not JSON", 0))
    async with node(tmp_path / "a", log) as a:
        await until(lambda: "faces.key_file" in a.shared.trouble, "it says so")
    log = Late()
    async with node(tmp_path / "b", log) as b:
        await until(lambda: "faces.key_file" in b.shared.trouble, "it says so")
        assert len(log.entries) == 2


async def test_a_new_key_over_an_empty_log_keeps_what_all_have(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log, at_rest=False) as a, node(tmp_path / "b", log, at_rest=False) as b:
        a.store.create("family", MODEL, DIMENSIONS, 1.0, {})
        a.store.add_faces("family", [face("alice"), face("bob")])
        await in_step(a, b)
    log.entries.clear()
    async with node(tmp_path / "a", log, key=bytes(32), at_rest=False) as a:
        await until(lambda: not a.shared._changes.pending()[1], "handed on")
        async with node(tmp_path / "b", log, key=bytes(32), at_rest=False) as b:
            await until(b.shared.in_step.is_set, "in step")
            await in_step(a, b)
            assert a.store.counts("family") == b.store.counts("family") == (2, 0)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_nodes_do_at_once_they_end_with_the_same(tmp_path: Path, seed: int) -> None:
    """Seeded: three nodes change the same few rows while answers of the log come late."""
    chance = Random(seed)
    log = Log(chance=chance)
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(tmp_path / name, log)) for name in "abc"]
        for _ in range(40):
            with suppress(AlreadyExists, NotFound, sqlite3.IntegrityError):  # somebody else was faster
                await asyncio.to_thread(_something, chance, chance.choice(nodes).store)
            await asyncio.sleep(chance.choice((0, 0.005, 0.03)))
        await in_step(*nodes)


def _something(chance: Random, store: CollectionStore) -> None:
    names = [row.name for row in store.all()]
    name = chance.choice(["x", "y"])
    if name not in names:
        store.create(name, MODEL, DIMENSIONS, 1.0, {"by": str(chance.random())})
        return
    faces = [each.face_id for _, each in store.faces(name)]
    users = [user for user, _ in store.users.all(name)]
    user = chance.choice(["u", "v"])
    match chance.choice(["add", "add", "delete", "tags", "user", "associate", "drop user", "drop"]):
        case "delete" if faces:
            store.delete_faces(name, [chance.choice(faces)])
        case "tags":
            store.set_tags(name, {"by": str(chance.random())})
        case "user" if user not in users:
            store.users.create(name, user, 1.0)
        case "associate" if faces and users:
            store.users.assign(name, [chance.choice(faces)], chance.choice(users))
        case "drop user" if users:
            store.users.delete(name, users[0])
        case "drop" if chance.random() < 0.3:
            store.drop(name)
        case _:
            store.add_faces(name, [face(f"n{chance.randrange(9)}")])

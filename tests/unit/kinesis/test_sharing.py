"""Streams that several nodes share: real tables on disk over a log in memory, one order for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.kafka.table import Batch, Change, TableTopic
from streamproc.core.errors import SinkBusy, SourceError
from streamproc.kinesis.folder import FolderFragments
from streamproc.kinesis.index import FragmentIndex
from streamproc.kinesis.log import VideoLog
from streamproc.kinesis.sharing import SharedStreams
from streamproc.kinesis.streams import StreamTable
from streamproc.store.database import Database


@dataclass
class Log:
    """In memory. ``away``: nobody reaches it."""

    entries: list[Change] = field(default_factory=list)
    away: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    slow: list[asyncio.Event] = field(default_factory=list)
    """What the next ones who tell something wait for."""

    async def put(self, changes: Mapping[str, bytes | None]) -> dict[str, int]:
        if self.slow:
            await self.slow.pop().wait()
        if self.away:
            raise SinkBusy("the log is away")
        places = {}
        for key, value in changes.items():
            places[key] = len(self.entries)
            self.entries.append(Change(key, value, len(self.entries)))
        self.news.set()
        return places

    async def follow(self) -> AsyncIterator[Batch]:
        """As after compaction: the newest of each key that stands, then what comes."""
        place = len(self.entries)
        newest = {change.key: change for change in self.entries}
        yield Batch([change for change in newest.values() if change.value is not None], True)
        while True:
            if self.away:
                raise SourceError("the log is away")
            found, place = self.entries[place:], len(self.entries)
            yield Batch(found, True)
            self.news.clear()
            if place == len(self.entries):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.news.wait(), 0.02)

    async def stop(self) -> None: ...


@dataclass
class Node:
    streams: StreamTable
    video: VideoLog
    shared: SharedStreams

    def picture(self) -> dict[str, Any]:
        return {name: self.streams.row(name) for name in self.streams.names()}


@asynccontextmanager
async def node(folder: Path, log: Log) -> AsyncIterator[Node]:
    folder.mkdir(exist_ok=True)
    database = Database(folder, "video.db")
    streams, index = StreamTable(database), FragmentIndex(database)
    store = FolderFragments(folder / "fragments", index, max_bytes=10**7, retention_ms=lambda name: 10**9)
    video = VideoLog(streams, index, store)
    shared = SharedStreams(video, database, cast("TableTopic", log), "site")
    await shared.open()
    try:
        yield Node(streams, video, shared)
    finally:
        await shared.close()
        database.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.kinesis.sharing.AGAIN_S", 0.02)


async def until(check: Callable[[], bool], what: str) -> None:
    for _ in range(1500):
        if check():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {what}")


async def in_step(*nodes: Node) -> None:
    await asyncio.sleep(0)  # what was changed just now is heard in the loop's next turn
    await until(
        lambda: (
            all(each.shared.in_step.is_set() and each.shared._all_told.is_set() for each in nodes)
            and all(each.picture() == nodes[0].picture() for each in nodes)
        ),
        "all nodes have the same",
    )


async def test_what_one_node_does_all_nodes_have(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        gone: list[str] = []
        b.video.deleted_listeners.append(gone.append)
        made = await asyncio.to_thread(a.streams.create, "porch", 1000, tags={"side": "front"})
        await a.video.told()
        assert [change.key for change in log.entries] == ["porch"], "told when the caller is answered"
        assert (await b.video.stream("porch")).version == made.version, "waited for where it is not known yet"
        await asyncio.to_thread(b.streams.change, "porch", made.version, device_name="cam")
        await asyncio.to_thread(b.streams.set_open, "porch", True)
        await in_step(a, b)
        assert a.streams.get("porch").device_name == "cam" and a.streams.was_cut_off("porch")
        await asyncio.to_thread(a.streams.record, "yard", 60_000, 1000)
        await a.video.delete(a.streams.get("porch"), None)
        await in_step(a, b)
        assert b.streams.names() == ["yard"] and gone == ["porch"]


async def test_a_node_that_was_away_catches_up_and_brings_what_it_has_changed(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a:
        async with node(tmp_path / "b", log) as b:
            for name in ("deleted", "deleted here", "changed", "changed here", "both"):
                a.streams.create(name, 1000)
            await in_step(a, b)
            log.away = True
            await b.video.delete(b.streams.get("deleted here"), None)
            for name in ("changed here", "both"):
                b.streams.tag(name, {"by": "b"})
            b.streams.create("new here", 1000)
            await asyncio.sleep(0.1)
        log.away = False
        await a.video.delete(a.streams.get("deleted"), None)
        for name in ("changed", "both"):
            a.streams.tag(name, {"by": "a"})
        await in_step(a)
        async with node(tmp_path / "b", log) as b:
            await in_step(a, b)
            tags = {name: a.streams.get(name).tags for name in a.streams.names()}
            assert tags == {"both": {"by": "b"}, "changed": {"by": "a"}, "changed here": {"by": "b"}, "new here": {}}


async def test_who_tells_later_is_right_though_both_are_telling(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        a.streams.create("porch", 1000)
        await in_step(a, b)
        told = asyncio.Event()
        log.slow.append(told)
        a.streams.tag("porch", {"by": "a"})
        await until(lambda: not log.slow, "it is on its way")
        b.streams.tag("porch", {"by": "b"})
        await until(lambda: len(log.entries) == 2, "the other is told meanwhile")
        await asyncio.sleep(0.1)  # and heard by the first
        told.set()
        await in_step(a, b)
        assert a.streams.get("porch").tags == b.streams.get("porch").tags == {"by": "a"}


async def test_what_is_done_while_the_log_is_away_follows_and_a_lost_log_is_filled_again(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "b", log) as b:
        await in_step(a, b)
        log.away = True
        a.streams.create("porch", 1000)
        await asyncio.sleep(0.1)
        assert b.streams.names() == []
        log.away = False
        await in_step(a, b)
        assert b.streams.names() == ["porch"]
    log.entries.clear()
    async with node(tmp_path / "a", log) as a, node(tmp_path / "c", log) as c:
        await in_step(a, c)
        assert c.streams.names() == ["porch"]


@pytest.mark.logs_errors("stream_not_taken")
async def test_a_row_of_another_version_is_taken_as_far_as_it_is_known(tmp_path: Path) -> None:
    log = Log()
    async with node(tmp_path / "a", log) as a:
        a.streams.create("porch", 1000)
        await in_step(a)
        value = (log.entries[-1].value or b"").replace(b"{", b'{"later": 1, ', 1).replace(b"porch", b"yard")
        await log.put({"broken": b"[]", "yard": value})
        await until(lambda: a.streams.names() == ["porch", "yard"], "it comes")

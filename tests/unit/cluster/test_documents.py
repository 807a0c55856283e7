"""Processors that callers make on one node of a cluster, on the others. A list stands for the compacted topic, supervisors are real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from connectors.context import ConnectorContext
from connectors.kafka.table import Batch, Change
from streamproc.cluster.documents import SharedDocuments
from streamproc.config.cluster import ClusterSettings
from streamproc.core.errors import SinkBusy, SourceError, StorageUnavailable
from streamproc.live.remote import want
from tests.builders.nodes import Node, Owners, config


class Log:
    """Stands for the brokers: changes in their order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.away = False
        self.answers_after_s = 0.0


class Table:
    """One node's access to it."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def put(self, changes: Mapping[str, bytes | None]) -> dict[str, int]:
        if self._log.away:
            raise SinkBusy("the brokers are away")
        places = {}
        for key, value in changes.items():
            places[key] = len(self._log.changes)
            self._log.changes.append(Change(key, value, places[key]))
        await asyncio.sleep(
            self._log.answers_after_s
        )  # others, and the writer itself, may have read it before it is confirmed
        return places

    async def follow(self) -> AsyncIterator[Batch]:
        at = 0
        while True:
            if self._log.away:
                raise SourceError("the brokers are away")
            news, at = self._log.changes[at : at + 1], at + 1 if at < len(self._log.changes) else at
            yield Batch(news, at >= len(self._log.changes))
            await asyncio.sleep(0.005)

    async def stop(self) -> None: ...


class Member:
    """A node and what it shares."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.folder = folder
        self.log = log
        self.owners = Owners()

    async def open(self) -> Member:
        self.node = await Node(self.folder, self.owners).open()
        settings = ClusterSettings(name="c", bootstrap_servers="127.0.0.1:9")
        self.documents = SharedDocuments(settings, ConnectorContext())
        self.documents._table = cast("Any", Table(self.log))
        self.documents.supervisor = self.node.supervisor
        self.documents.open()
        return self

    async def close(self) -> None:
        await self.documents.close()
        await self.node.close(hand_over=True)

    def wanted(self, name: str) -> str | None:
        supervisor = self.node.supervisor
        return supervisor.processor(name).row.wanted if supervisor.known(name) else None

    def classes(self, name: str) -> Any:
        labels = self.node.supervisor.processor(name).config.labels
        return [str(each) for each in labels.classes] if labels else None


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.01)


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[tuple[Member, Member]]:
    """The first runs everything."""
    log = Log()
    made = tuple([await Member(tmp_path / name, log).open() for name in "ab"])
    made[1].owners.away["door"] = "runs on node a"
    yield made[0], made[1]
    for member in made:
        await member.close()


async def test_what_one_node_was_given_all_have_until_one_is_told_to_delete_it(members: tuple[Member, Member]) -> None:
    a, b = members
    a.log.answers_after_s = 0.02
    await b.node.supervisor.create("door", config())
    await until(lambda: a.wanted("door") == "stopped")
    want(b.node.supervisor, "door", "running")
    await a.node.until("door", "running")
    await a.node.supervisor.stop("door")
    await until(lambda: b.wanted("door") == "stopped")
    await b.node.supervisor.update("door", config(labels={"classes": ["PET"]}))
    await until(lambda: a.classes("door") == ["PET"])
    await a.node.supervisor.start("door")
    await until(lambda: b.wanted("door") == "running")
    await b.node.supervisor.delete("door")
    await a.node.until("door", None)
    settled = len(a.log.changes)
    await asyncio.sleep(0.1)
    assert len(a.log.changes) == settled, "nobody answers what came from the log"


async def test_every_change_counts_also_of_callers_that_do_not_wait(members: tuple[Member, Member]) -> None:
    a, b = members
    a.log.answers_after_s = 0.03
    await a.node.supervisor.create("door", config())
    for number in range(12):
        classes = ["PET", "PERSON"][number % 2 :]
        await a.node.supervisor.update("door", config(labels={"classes": classes}))
        await asyncio.sleep(0.01)
    last = await a.node.supervisor.update("door", config(labels={"classes": ["PACKAGE"]}))
    await until(lambda: b.wanted("door") and b.classes("door") == ["PACKAGE"])
    await a.documents.flushed(5)
    assert a.classes("door") == ["PACKAGE"] and last.config.labels
    assert a.documents._held.values == b.documents._held.values


async def test_two_that_change_it_at_the_same_time_come_to_agree(members: tuple[Member, Member]) -> None:
    a, b = members
    a.log.answers_after_s = 0.02
    await a.node.supervisor.create("door", config())
    await until(lambda: b.wanted("door"))
    for _ in range(5):
        await a.node.supervisor.update("door", config(labels={"classes": ["PET"]}))
        await b.node.supervisor.update("door", config(labels={"classes": ["PERSON"]}))
        await asyncio.sleep(0.01)
    await until(lambda: a.classes("door") == b.classes("door"))
    await asyncio.gather(*(each.documents.flushed(5) for each in members))
    await asyncio.sleep(0.3)
    assert a.classes("door") == b.classes("door")


async def test_a_node_that_was_away_learns_what_was_deleted_and_changed_meanwhile(
    members: tuple[Member, Member],
) -> None:
    a, b = members
    for name in ("door", "gate"):
        await a.node.supervisor.create(name, config())
    await until(lambda: b.wanted("door") and b.wanted("gate"))
    await b.close()
    await a.node.supervisor.delete("door")
    await a.node.supervisor.update("gate", config(labels={"classes": ["PET"]}))
    await until(lambda: len(a.log.changes) >= 4)
    await b.open()
    await until(lambda: b.wanted("door") is None and b.classes("gate") == ["PET"])
    assert a.wanted("door") is None and a.wanted("gate") == "stopped"


async def test_what_was_said_while_the_brokers_were_away_counts_when_they_are_back(
    members: tuple[Member, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.cluster.documents.AGAIN_S", 0.02)
    a, b = members
    for name in ("door", "gate", "yard"):
        await a.node.supervisor.create(name, config())
    await until(lambda: b.wanted("yard"))
    a.log.away = True
    await a.close()
    await a.open()
    await a.node.supervisor.update("door", config(labels={"classes": ["PET"]}))
    await a.node.supervisor.delete("gate")
    await b.node.supervisor.update("yard", config(labels={"classes": ["PET"]}))
    await asyncio.sleep(0.1)
    a.log.away = False
    await until(lambda: b.classes("door") == ["PET"] and b.wanted("gate") is None)
    await until(lambda: a.classes("yard") == ["PET"])


@pytest.mark.logs_errors("document_not_taken")
async def test_a_document_that_cannot_be_used_stops_no_other(members: tuple[Member, Member]) -> None:
    a, b = members
    table = Table(a.log)
    await table.put({"bad": b'{"document": {"source": 1}, "wanted": "stopped"}', "worse": b"\xff"})
    await a.node.supervisor.create("door", config())
    await until(lambda: b.wanted("door") == "stopped")
    assert b.wanted("bad") is None and b.wanted("worse") is None


async def test_a_topic_without_anything_deletes_nothing(tmp_path: Path) -> None:
    """The cluster has another name now, or its brokers lost the topic."""
    a = await Member(tmp_path / "a", Log()).open()
    await a.node.supervisor.create("door", config())
    await until(lambda: a.log.changes)
    await a.documents.flushed(5)
    await a.close()
    a.log = Log()
    await a.open()
    await until(lambda: a.log.changes)
    assert a.wanted("door") == "stopped" and a.log.changes[0].value is not None
    await a.close()


async def test_a_document_that_cannot_be_used_is_named_without_what_is_in_it(tmp_path: Path) -> None:
    with capture_logs() as lines:
        a = await Member(tmp_path / "a", Log()).open()
        document = {
            "source": {"type": "rtsp", "url": "rtsp://cam/1"},
            "labels": {"classes": ["PERSON"], "odd": "hush-hush"},
        }
        a.log.changes.append(Change("x", json.dumps({"document": document, "wanted": "stopped"}).encode(), 0))
        await until(lambda: any(line["event"] == "document_not_taken" for line in lines))
        await a.close()
    assert "labels.odd" in str(lines) and "hush-hush" not in str(lines)


async def test_two_versions_that_write_the_same_otherwise_do_not_answer_each_other(
    members: tuple[Member, Member],
) -> None:
    a, b = members
    other = json.dumps({"document": config().model_dump(mode="json", exclude_none=True), "wanted": "stopped"}).encode()
    await Table(a.log).put({"door": other})
    await until(lambda: a.wanted("door") and b.wanted("door"))
    await asyncio.gather(*(each.documents.flushed(5) for each in members))
    await b.close()
    await b.open()
    await until(lambda: b.documents._complete)
    await asyncio.sleep(0.2)
    assert [each.value for each in a.log.changes] == [other]


@pytest.mark.logs_errors("document_not_taken")
async def test_what_no_product_wrote_is_passed_over(members: tuple[Member, Member]) -> None:
    a, b = members
    await Table(a.log).put(
        {"odd": json.dumps({"document": {"source": {"type": "webrtc"}}, "wanted": "maybe"}).encode()}
    )
    await a.node.supervisor.create("door", config())
    await until(lambda: b.wanted("door"))
    assert b.wanted("odd") is None


async def test_what_the_disk_cannot_take_comes_when_it_can(
    members: tuple[Member, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = members
    create, refused = b.node.supervisor.create, list[str]()

    async def busy_at_first(name: str, *more: Any) -> Any:
        if len(refused) < 3:
            refused.append(name)
            raise StorageUnavailable("waits for storage")
        return await create(name, *more)

    monkeypatch.setattr(b.node.supervisor, "create", busy_at_first)
    await a.node.supervisor.create("door", config())
    await until(lambda: b.wanted("door") == "stopped")
    assert refused == ["door"] * 3 and a.wanted("door") == "stopped"

"""Face collections shared over a real broker's compacted topic."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.context import ConnectorContext
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.table import TableTopic
from streamproc.core.faces import StoredFace
from streamproc.core.vision import Box
from streamproc.faces.sealing import Seal
from streamproc.faces.sharing import SharedFaces
from streamproc.store.collection_changes import CollectionChanges
from streamproc.store.collections import CollectionStore, FaceRow

pytestmark = pytest.mark.kafka


def faces(count: int) -> list[FaceRow]:
    random = np.random.default_rng(1)
    return [
        FaceRow(
            StoredFace(str(uuid.uuid4()), str(uuid.uuid4()), f"n{number}", Box(0.1, 0.1, 0.3, 0.4), 99.0, "1.1"),
            random.normal(size=256).astype(np.float32),
            str(number).encode(),
        )
        for number in range(count)
    ]


@asynccontextmanager
async def node(folder: Path, bootstrap: str, topic: str) -> AsyncIterator[tuple[CollectionStore, SharedFaces]]:
    store = CollectionStore(folder, Seal(bytes(32)))
    context = ConnectorContext(processor="faces", base_dir=folder, data_dir=folder)
    table = TableTopic(KafkaConnection(bootstrap_servers=bootstrap, topic=topic), context)
    shared = SharedFaces(CollectionChanges(store), table, Seal(bytes(32)), "site")
    shared.open()
    try:
        yield store, shared
    finally:
        await shared.close()
        store.close()


async def until(check: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(check):
            await asyncio.sleep(0.05)


async def test_two_nodes_and_one_that_comes_later(kafka: Any, tmp_path: Path) -> None:
    topic = f"faces-{uuid.uuid4().hex}"
    async with node(tmp_path / "a", kafka.bootstrap, topic) as (a, _):
        async with node(tmp_path / "b", kafka.bootstrap, topic) as (b, _):
            a.create("family", "model", 256, 1.0, {})
            stored = a.add_faces("family", faces(300))
            await until(lambda: b.all() and b.counts("family") == (300, 0))
            b.delete_faces("family", [face.face_id for face in stored[:100]])
            await until(lambda: a.counts("family") == (200, 0))
        a.delete_faces("family", [face.face_id for face in stored[100:150]])
        async with node(tmp_path / "b", kafka.bootstrap, topic) as (b, shared):
            await until(lambda: b.counts("family") == (150, 0))
            async with node(tmp_path / "c", kafka.bootstrap, topic) as (c, _):
                await until(lambda: c.all() and c.counts("family") == (150, 0))
            assert not shared.trouble
        ids = {face.face_id for _, face in a.faces("family")}
        assert {face.face_id for face in stored[150:]} == ids


@pytest.mark.slow
@pytest.mark.leaves("aiokafka's tasks of a producer whose broker was killed end only when it is back")
async def test_what_is_enrolled_while_the_broker_is_away_comes_when_it_is_back(
    own_kafka: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.kafka.table.PUT_S", 3.0)
    async with (
        node(tmp_path / "a", own_kafka.bootstrap, "faces") as (a, shared),
        node(tmp_path / "b", own_kafka.bootstrap, "faces") as (b, _),
    ):
        a.create("family", "model", 256, 1.0, {})
        await until(lambda: bool(b.all()))
        own_kafka.stop(kill=True)
        a.add_faces("family", faces(3))
        await until(lambda: bool(shared.trouble))
        own_kafka.start()
        await until(lambda: b.counts("family") == (3, 0))
        await until(lambda: not shared.trouble)

"""A cluster's pictures in a real bucket: the bucket itself, and daemons of which one dies."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.context import ConnectorContext
from connectors.s3.bucket import Bucket
from connectors.s3.picture_settings import S3PictureSettings
from streamproc.cluster.picture_store import PictureStore
from streamproc.cluster.pictures import PictureSweep
from streamproc.core.errors import InputError, StorageUnavailable
from streamproc.store.spool import Spool
from tests.builders.events import PICTURES, label_event
from tests.cluster import ENDLESS, Node, Nodes
from tests.daemon import wait_for
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.s3
KEYS = {"access_key_id_env": "PICTURES_KEY", "secret_access_key_env": "PICTURES_SECRET"}


def settings(endpoint: str, **options: Any) -> S3PictureSettings:
    return S3PictureSettings(type="s3", bucket="pictures", endpoint_url=endpoint, inline=10, **KEYS, **options)


@pytest.fixture
def server(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    monkeypatch.setenv("PICTURES_KEY", s3_server.access_key)
    monkeypatch.setenv("PICTURES_SECRET", s3_server.secret_key)
    s3_server.make_bucket("pictures")
    return s3_server


@pytest.fixture
def bucket(server: S3Server) -> Iterator[Bucket]:
    made = Bucket(settings(server.endpoint), ConnectorContext())
    yield made
    made.close()


def test_objects_come_and_go(bucket: Bucket) -> None:
    assert bucket.get("come/a") is None
    for name in ("come/a", "come/b", "other/c"):
        bucket.put(name, name.encode())
    assert bucket.get("come/a") == b"come/a"
    now = datetime.now(UTC)
    assert [*bucket.older_than("come/", now - timedelta(hours=1))] == []
    sweep = PictureSweep(bucket, "come/", lambda: 3600.0, lambda: True)
    assert sweep.sweep(now) == 0 and sweep.sweep(now + timedelta(hours=2)) == 2
    assert bucket.get("come/a") is None and bucket.get("other/c") == b"other/c"


def test_what_is_wrong_is_said_without_the_credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURES_SECRET", "not-the-secret-at-all")
    with pytest.raises(StorageUnavailable, match="s3://pictures: ") as refused:
        Bucket(settings(server.endpoint), ConnectorContext()).put("key", b"")
    assert "not-the-secret" not in str(refused.value)
    monkeypatch.delenv("PICTURES_SECRET")
    with pytest.raises(InputError, match=r"cluster\.pictures\.secret_access_key_env: .*PICTURES_SECRET is not set"):
        Bucket(settings(server.endpoint), ConnectorContext())
    with pytest.raises(ValueError, match="give both"):
        S3PictureSettings(type="s3", bucket="pictures", access_key_id_env="PICTURES_KEY")


async def test_a_bucket_that_is_away_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server
) -> None:
    monkeypatch.setenv("PICTURES_KEY", s3_server.access_key)
    monkeypatch.setenv("PICTURES_SECRET", s3_server.secret_key)
    monkeypatch.setattr("streamproc.cluster.picture_store.AGAIN_S", 0.1)
    own = S3Server(tmp_path / "s3")
    own.make_bucket("pictures")
    made = settings(own.endpoint)
    bucket = Bucket(made, ConnectorContext())
    here = PictureStore(bucket, "site/", made, Spool(tmp_path / "waiting"))
    mark = await asyncio.to_thread(here.keep, label_event(0), PICTURES)
    assert mark and "s3://pictures" in here.trouble
    await asyncio.to_thread(own.start)
    try:
        here.open()
        async with asyncio.timeout(30):
            while here.trouble:
                await asyncio.sleep(0.05)
        await here.close()
        there = PictureStore(bucket, "site/", made, Spool(tmp_path / "other"))
        assert await asyncio.to_thread(there.read, "s1", "s1-000000", mark) == PICTURES
    finally:
        bucket.close()
        await asyncio.to_thread(own.stop, kill=True)


def picture_of(node: Node, event_id: str) -> bytes:
    with urllib.request.urlopen(f"{node.url}/api/events/{event_id}/frame.jpg", timeout=20) as answer:
        data: bytes = answer.read()
    return data


@pytest.mark.kafka
@pytest.mark.models
def test_the_pictures_of_a_dead_node_are_shown_by_the_others(
    kafka: Any, tmp_path: Path, server: S3Server, scene: Path
) -> None:
    nodes = Nodes(tmp_path, kafka.bootstrap)
    keys = ", ".join(f"{key}: {value}" for key, value in KEYS.items())
    nodes.more = f"pictures: {{type: s3, bucket: pictures, endpoint_url: '{server.endpoint}', inline: 0, {keys}}}"
    try:
        nodes.put("film", f"source: {{type: file, path: {scene}, realtime: true, loop: true}}\n{ENDLESS}")
        a, b = nodes.start("a", "b")
        runner = nodes.runner("film")
        other = a if runner is b else b
        events = wait_for(
            lambda: [each for each in runner.told() if each["type"] == "label_detected"], 90, "an announcement"
        )
        event_id = events[0]["id"]
        frame = picture_of(runner, event_id)
        wait_for(
            lambda: event_id in {each["id"] for each in other.get("/api/events")["events"]}, 30, "it at the other node"
        )
        objects = [path for path in (server.root / "pictures" / nodes.name).rglob("*.pictures") if path.is_file()]
        assert any(event_id in path.name for path in objects)
        runner.kill()
        assert picture_of(other, event_id) == frame
        assert not [path for path in other.data.rglob(f"{event_id}.pictures") if path.stat().st_size > 100]
        assert server.secret_key not in other.log.read_text()
    finally:
        nodes.close()

"""The S3 output against a gateway, through the outbox, as in the daemon."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from streamproc.store.deliveries import Selection
from tests.builders.events import complete, label_event
from tests.builders.outboxes import PICTURES, Box, s3_ref


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.s3
async def test_s3_has_the_service_layout(box: Box, s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = s3_server.make_bucket("layout")
    ref = s3_ref(
        s3_server, monkeypatch, bucket="layout", prefix="/cams/front door/", format="aws", kms_key_id="alias/k"
    )
    await box.connect(ref)
    await box.tell(label_event(0), complete(1))
    await box.settled()
    home = "cams/front door/door/s1"
    assert files(folder) == [
        f"{home}/000000-PERSON-crop.jpg",
        f"{home}/000000-PERSON-frame.jpg",
        f"{home}/000000-PERSON.json",
        f"{home}/session-summary.json",
    ]
    assert (folder / home / "000000-PERSON-frame.jpg").read_bytes() == PICTURES.frame
    summary = json.loads((folder / home / "session-summary.json").read_text())
    assert summary["eventNamespace"] == {"type": "STREAM_PROCESSING_COMPLETE"}


@pytest.mark.s3
async def test_s3_plain_documents_name_their_pictures(
    box: Box, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = s3_server.make_bucket("plain-form")
    await box.connect(s3_ref(s3_server, monkeypatch, bucket="plain-form"))
    await box.tell(label_event(0))
    await box.settled()
    document = json.loads((folder / "door/s1/000000-PERSON.json").read_text())
    assert document["frame"] == "s3://plain-form/door/s1/000000-PERSON-frame.jpg"
    assert (folder / document["crop"].removeprefix("s3://plain-form/")).read_bytes() == PICTURES.crop


@pytest.mark.s3
async def test_s3_waits_for_a_bucket_that_is_missing(box: Box, s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.connect(s3_ref(s3_server, monkeypatch, bucket="comes-later"))
    await box.tell(label_event(0))
    async with asyncio.timeout(20):
        while not any(item.reason for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.02)
    (item,) = box.store.select(Selection(state="waiting"))
    assert "NoSuchBucket" in (item.reason or "")
    folder = s3_server.make_bucket("comes-later")
    await box.settled()
    assert len(files(folder)) == 3


@pytest.mark.s3
async def test_s3_away_delays_and_loses_nothing(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.servers.common import Unavailable
    from tests.servers.s3 import S3Server

    try:
        server = await asyncio.to_thread(S3Server(tmp_path / "s3").start)
    except Unavailable as error:
        pytest.skip(str(error))
    folder = server.make_bucket("away")
    await box.connect(s3_ref(server, monkeypatch, bucket="away"))
    await asyncio.to_thread(server.stop, kill=True)
    await box.tell(label_event(0), label_event(1))
    async with asyncio.timeout(20):
        while not any(item.attempts for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.02)
    await asyncio.to_thread(server.start)
    await box.settled()
    assert len(files(folder)) == 6
    await asyncio.to_thread(server.stop, kill=True)

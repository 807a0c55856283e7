"""Pictures that lie in a cluster's bucket: put there before the event counts, and on this node's disk while the bucket takes nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.s3.picture_settings import S3PictureSettings
from streamproc.cluster import picture_store
from streamproc.cluster.picture_store import PictureStore
from streamproc.core.errors import StorageUnavailable
from streamproc.core.event import Pictures
from streamproc.store.spool import Spool
from tests.builders.events import PICTURES, label_event

SMALL = Pictures(b"f", b"c")


class PictureBucket:
    """A bucket in memory that can refuse and hang: a real one does neither on demand."""

    place = "s3://bucket"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.refuses = False
        self.answers = threading.Event()
        self.answers.set()

    def put(self, key: str, data: bytes) -> None:
        self.puts.append(key)
        self.answers.wait(10)
        self._check()
        self.objects[key] = data

    def get(self, key: str) -> bytes | None:
        self._check()
        return self.objects.get(key)

    def _check(self) -> None:
        if self.refuses:
            raise StorageUnavailable("s3://bucket: refused")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_store, "PATIENCE_S", 0.1)
    monkeypatch.setattr(picture_store, "AGAIN_S", 0.01)


@pytest.fixture
def bucket() -> Iterator[PictureBucket]:
    made = PictureBucket()
    yield made
    made.answers.set()


def store(bucket: PictureBucket, folder: Path, **options: int) -> PictureStore:
    settings = S3PictureSettings(type="s3", bucket="pictures", inline=10, **options)
    return PictureStore(bucket, "site/", settings, Spool(folder / "waiting"))


async def until_sent(made: PictureStore) -> None:
    made.open()
    async with asyncio.timeout(10):
        while made.trouble:
            await asyncio.sleep(0.01)


async def test_large_pictures_are_in_the_bucket_when_the_event_counts(bucket: PictureBucket, tmp_path: Path) -> None:
    here, there = store(bucket, tmp_path / "a"), store(bucket, tmp_path / "b")
    assert here.keep(label_event(0), SMALL) == ""
    mark = here.keep(label_event(1), PICTURES)
    assert list(bucket.objects) == [f"site/s1/s1-000001-{mark}.pictures"]
    assert here.keep(label_event(1), PICTURES) == mark and len(bucket.puts) == 1, "a commit that is tried again"
    assert there.read("s1", "s1-000001", mark) == PICTURES
    assert there.read("s1", "s1-000002", mark) is None
    assert here.trouble == ""
    await here.close()


async def test_a_node_that_lost_the_processor_replaces_nothing(bucket: PictureBucket, tmp_path: Path) -> None:
    owner, zombie = store(bucket, tmp_path / "a"), store(bucket, tmp_path / "b")
    mark = owner.keep(label_event(1), PICTURES)
    assert zombie.keep(label_event(1), Pictures(b"another frame", b"another crop")) != mark
    assert owner.read("s1", "s1-000001", mark) == PICTURES
    await owner.close()
    await zombie.close()


@pytest.mark.parametrize("hangs", [False, True])
async def test_what_a_bucket_does_not_take_waits_and_holds_nobody_up(
    bucket: PictureBucket, tmp_path: Path, hangs: bool
) -> None:
    if hangs:
        bucket.answers.clear()
    else:
        bucket.refuses = True
    here = store(bucket, tmp_path)
    marks = {number: here.keep(label_event(number), PICTURES) for number in range(3)}
    assert all(marks.values()) and len(bucket.puts) == 1, "only the first asked the bucket"
    said = "did not answer within" if hangs else "refused"
    assert "MB wait on this node's disk" in here.trouble and said in here.trouble
    assert here.read("s1", "s1-000001", marks[1]) == PICTURES, "the node that took them has them"
    bucket.refuses = False
    bucket.answers.set()
    await until_sent(here)
    await here.close()
    assert {f"site/s1/s1-00000{number}-{mark}.pictures" for number, mark in marks.items()} == bucket.objects.keys()
    assert store(bucket, tmp_path / "b").read("s1", "s1-000002", marks[2]) == PICTURES


async def test_what_waits_is_bounded_and_outlives_the_process(bucket: PictureBucket, tmp_path: Path) -> None:
    bucket.refuses = True
    here = store(bucket, tmp_path, max_waiting=70)
    marks = [here.keep(label_event(number), PICTURES) for number in range(4)]
    assert [bool(mark) for mark in marks] == [True, True, False, False], "29 bytes each"
    await here.close()
    again = store(bucket, tmp_path, max_waiting=70)
    assert again.trouble != ""
    bucket.refuses = False
    await until_sent(again)
    assert len(bucket.objects) == 2 and not [*(tmp_path / "waiting").rglob("*.pictures")]
    assert again.keep(label_event(5), PICTURES) != "" and len(bucket.objects) == 3
    await again.close()


async def test_a_bucket_that_did_not_answer_is_not_asked_by_every_reader(bucket: PictureBucket, tmp_path: Path) -> None:
    here = store(bucket, tmp_path)
    bucket.refuses = True
    with pytest.raises(StorageUnavailable):
        here.read("s1", "s1-000001", "mark")
    bucket.refuses = False
    with pytest.raises(StorageUnavailable):
        here.read("s1", "s1-000001", "mark")


async def test_the_end_sends_what_it_can(
    bucket: PictureBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_store, "AGAIN_S", 60.0)
    bucket.refuses = True
    here = store(bucket, tmp_path)
    here.keep(label_event(0), PICTURES)
    here.open()
    await asyncio.sleep(0)
    bucket.refuses = False
    await here.close()
    assert len(bucket.objects) == 1

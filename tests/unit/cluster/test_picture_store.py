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


class Shelf:
    """A bucket in memory that can refuse and hang: a real one does neither on demand."""

    place = "s3://shelf"

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
            raise StorageUnavailable("s3://shelf: refused")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_store, "PATIENCE_S", 0.1)
    monkeypatch.setattr(picture_store, "AGAIN_S", 0.01)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    yield made
    made.answers.set()


def store(shelf: Shelf, folder: Path, **options: int) -> PictureStore:
    settings = S3PictureSettings(type="s3", bucket="pictures", inline=10, **options)
    return PictureStore(shelf, "site/", settings, Spool(folder / "waiting"))


async def until_sent(made: PictureStore) -> None:
    made.open()
    async with asyncio.timeout(10):
        while made.trouble:
            await asyncio.sleep(0.01)


async def test_large_pictures_are_in_the_bucket_when_the_event_counts(shelf: Shelf, tmp_path: Path) -> None:
    here, there = store(shelf, tmp_path / "a"), store(shelf, tmp_path / "b")
    assert here.keep(label_event(0), SMALL) == ""
    mark = here.keep(label_event(1), PICTURES)
    assert list(shelf.objects) == [f"site/s1/s1-000001-{mark}.pictures"]
    assert here.keep(label_event(1), PICTURES) == mark and len(shelf.puts) == 1, "a commit that is tried again"
    assert there.read("s1", "s1-000001", mark) == PICTURES
    assert there.read("s1", "s1-000002", mark) is None
    assert here.trouble == ""
    await here.close()


async def test_a_node_that_lost_the_processor_replaces_nothing(shelf: Shelf, tmp_path: Path) -> None:
    owner, zombie = store(shelf, tmp_path / "a"), store(shelf, tmp_path / "b")
    mark = owner.keep(label_event(1), PICTURES)
    assert zombie.keep(label_event(1), Pictures(b"another frame", b"another crop")) != mark
    assert owner.read("s1", "s1-000001", mark) == PICTURES
    await owner.close()
    await zombie.close()


@pytest.mark.parametrize("hangs", [False, True])
async def test_what_a_bucket_does_not_take_waits_and_holds_nobody_up(shelf: Shelf, tmp_path: Path, hangs: bool) -> None:
    if hangs:
        shelf.answers.clear()
    else:
        shelf.refuses = True
    here = store(shelf, tmp_path)
    marks = {number: here.keep(label_event(number), PICTURES) for number in range(3)}
    assert all(marks.values()) and len(shelf.puts) == 1, "only the first asked the bucket"
    said = "did not answer within" if hangs else "refused"
    assert "MB wait on this node's disk" in here.trouble and said in here.trouble
    assert here.read("s1", "s1-000001", marks[1]) == PICTURES, "the node that took them has them"
    shelf.refuses = False
    shelf.answers.set()
    await until_sent(here)
    await here.close()
    assert {f"site/s1/s1-00000{number}-{mark}.pictures" for number, mark in marks.items()} == shelf.objects.keys()
    assert store(shelf, tmp_path / "b").read("s1", "s1-000002", marks[2]) == PICTURES


async def test_what_waits_is_bounded_and_outlives_the_process(shelf: Shelf, tmp_path: Path) -> None:
    shelf.refuses = True
    here = store(shelf, tmp_path, max_waiting=70)
    marks = [here.keep(label_event(number), PICTURES) for number in range(4)]
    assert [bool(mark) for mark in marks] == [True, True, False, False], "29 bytes each"
    await here.close()
    again = store(shelf, tmp_path, max_waiting=70)
    assert again.trouble != ""
    shelf.refuses = False
    await until_sent(again)
    assert len(shelf.objects) == 2 and not [*(tmp_path / "waiting").rglob("*.pictures")]
    assert again.keep(label_event(5), PICTURES) != "" and len(shelf.objects) == 3
    await again.close()


async def test_a_bucket_that_did_not_answer_is_not_asked_by_every_reader(shelf: Shelf, tmp_path: Path) -> None:
    here = store(shelf, tmp_path)
    shelf.refuses = True
    with pytest.raises(StorageUnavailable):
        here.read("s1", "s1-000001", "mark")
    shelf.refuses = False
    with pytest.raises(StorageUnavailable):
        here.read("s1", "s1-000001", "mark")


async def test_the_end_sends_what_it_can(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_store, "AGAIN_S", 60.0)
    shelf.refuses = True
    here = store(shelf, tmp_path)
    here.keep(label_event(0), PICTURES)
    here.open()
    await asyncio.sleep(0)
    shelf.refuses = False
    await here.close()
    assert len(shelf.objects) == 1

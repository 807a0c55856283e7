"""One contract, both fragment stores: a folder, and a topic of a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.log import VideoLog
from streamproc.kinesis.store import Entry, FragmentGone, FragmentTooLarge, NewFragment, StoreAway
from streamproc.kinesis.streams import StreamTable
from streamproc.media.fragments import read_fragment
from tests.kinesis.stores import HOUR_MS, Bench, fragment

NOW = 1_700_000_000_000


@pytest.fixture(params=["folder", pytest.param("kafka", marks=pytest.mark.kafka)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    kafka = request.getfixturevalue("kafka") if request.param == "kafka" else None
    made = Bench(tmp_path, kafka.bootstrap if kafka else None, topic=f"video-{uuid.uuid4().hex[:8]}")
    await made.open()
    yield made
    await made.close()


async def fill(bench: Bench, stream: str, times: list[int], filler: int = 1000) -> list[NewFragment]:
    made: list[NewFragment] = []
    for time in times:
        made.append(fragment(time, last=made[-1].info.number if made else "", filler=filler))
        await bench.store.append(stream, made[-1])
    return made


def all_of(bench: Bench, stream: str) -> list[FragmentInfo]:
    return [entry.info for entry in reversed(bench.index.latest(stream, 1000))]


async def test_what_was_appended_is_read_back_byte_for_byte(bench: Bench) -> None:
    made = await fill(bench, "porch", [NOW, NOW + 2000])
    assert all_of(bench, "porch") == [item.info for item in made]
    for item in made:
        entry = bench.index.get("porch", item.info.number)
        assert entry is not None and entry.digest == item.digest
        assert await bench.store.read(entry) == item.data


async def test_streams_are_apart(bench: Bench) -> None:
    for name in ("a", "b"):
        made = await fill(bench, name, [NOW, NOW + 2000])
        assert [item.info for item in made] == all_of(bench, name)


async def test_everything_outlives_the_process(bench: Bench) -> None:
    made = await fill(bench, "porch", [NOW, NOW + 2000, NOW + 4000])
    await bench.close()
    await bench.open()
    assert all_of(bench, "porch") == [item.info for item in made]
    assert await bench.store.read(bench.index.last("porch")) == made[-1].data  # type: ignore[arg-type]


async def test_the_same_number_twice_is_one_fragment(bench: Bench) -> None:
    """A call that failed after the bytes were written is repeated."""
    made = (await fill(bench, "porch", [NOW]))[0]
    await bench.store.append("porch", made)
    await bench.close()
    await bench.open()
    assert all_of(bench, "porch") == [made.info]


async def test_a_fragment_that_is_too_large_is_refused(bench: Bench) -> None:
    size = bench.store.max_fragment_bytes
    with pytest.raises(FragmentTooLarge):
        await bench.store.append("porch", fragment(NOW, filler=size + 1))
    assert all_of(bench, "porch") == []


async def test_what_is_too_old_goes_and_a_stream_may_have_its_own_age(bench: Bench) -> None:
    bench.retention_ms["long"] = 3 * HOUR_MS
    for name in ("short", "long"):
        await fill(bench, name, [NOW - 2 * HOUR_MS, NOW - 1000])
    gone = bench.index.after("short", "")
    assert await bench.store.prune(NOW) == 1
    assert [info.server_ms for info in all_of(bench, "short")] == [NOW - 1000]
    assert len(all_of(bench, "long")) == 2
    assert gone is not None and bench.index.get("short", gone.info.number) is None


async def test_what_is_held_is_not_pruned(bench: Bench) -> None:
    made = await fill(bench, "porch", [NOW - 2 * HOUR_MS, NOW - 2 * HOUR_MS + 1000])
    first = bench.index.get("porch", made[0].info.number)
    assert first is not None
    with bench.index.holding([first]):
        assert await bench.store.prune(NOW) == 1
        assert await bench.store.read(first) == made[0].data
    assert await bench.store.prune(NOW) == 1


async def test_a_removed_fragment_is_gone(bench: Bench) -> None:
    made = await fill(bench, "porch", [NOW, NOW + 2000])
    entry = bench.index.get("porch", made[0].info.number)
    assert entry is not None
    await bench.store.remove([entry])
    assert all_of(bench, "porch") == [made[1].info]
    if bench.bootstrap is None:  # a topic keeps its messages until its own retention
        with pytest.raises(FragmentGone):
            await bench.store.read(entry)


async def test_a_reader_waits_for_what_comes(bench: Bench) -> None:
    log = VideoLog(StreamTable(bench.index.database), bench.index, bench.store)
    first = fragment(NOW)
    await log.append("porch", first)
    after = (await log.next("porch", "", 1))[0].info.number  # type: ignore[index]
    reading = asyncio.create_task(log.next("porch", after, 20))
    await asyncio.sleep(0.05)
    assert not reading.done()
    second = fragment(NOW + 2000, last=first.info.number)
    await log.append("porch", second)
    found = await reading
    assert found is not None and found[0].info == second.info and found[1] == second.data
    assert await log.next("porch", second.info.number, 0.05) is None


def place_of(entry: Entry | None) -> int | None:
    return None if entry is None else entry.info.server_ms - NOW


async def test_instants_are_found_by_either_clock(bench: Bench) -> None:
    for server, producer in ((0, 5000), (2000, 7000), (9000, 14_000)):
        last = bench.index.last("porch")
        item = fragment(NOW + server, last=last.info.number if last else "", producer_ms=NOW + producer)
        await bench.store.append("porch", item)
    find = bench.index.containing
    assert [place_of(find("porch", "server_ms", NOW + at)) for at in (-1, 0, 1999, 2000, 5000, 9000, 20_000)] == [
        0,
        0,
        0,
        2000,
        9000,
        9000,
        None,
    ]
    assert place_of(find("porch", "producer_ms", NOW + 6000)) == 0
    between = bench.index.between("porch", "producer_ms", NOW + 5000, NOW + 7000)
    assert [entry.info.producer_ms - NOW for entry in between] == [5000, 7000]


# -- what is the folder's alone


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, None, max_bytes=1_000_000)
    await made.open()
    yield made
    await made.close()


def disk(bench: Bench) -> int:
    return sum(path.stat().st_size for path in (bench.directory / "fragments").rglob("*.mkv"))


async def test_the_quota_holds_while_fragments_come(folder: Bench) -> None:
    for turn in range(40):
        last = folder.index.last("porch")
        await folder.store.append(
            "porch", fragment(NOW + turn, last=last.info.number if last else "", filler=90_000 + turn)
        )
        assert disk(folder) == folder.index.bytes <= 1_000_000
    assert all_of(folder, "porch")[-1].server_ms == NOW + 39
    assert len(all_of(folder, "porch")) == 11


async def test_a_store_full_of_what_is_read_waits(folder: Bench) -> None:
    await fill(folder, "porch", [NOW, NOW + 1], filler=400_000)
    with folder.index.holding(folder.index.latest("porch", 10)), pytest.raises(StoreAway):
        await folder.store.append("other", fragment(NOW + 2, filler=400_000))
    await folder.store.append("other", fragment(NOW + 2, filler=400_000))
    assert len(all_of(folder, "porch")) == 1


async def test_a_file_without_a_row_is_swept_away(folder: Bench) -> None:
    made = (await fill(folder, "porch", [NOW]))[0]
    stray = next((folder.directory / "fragments").iterdir()) / "123.mkv"
    stray.write_bytes(b"written, and killed before the row")
    await folder.close()
    await folder.open()
    assert not stray.exists()
    assert all_of(folder, "porch") == [made.info]


@pytest.mark.parametrize("name", ["..", ".", "a" * 256, "CON.mkv"])
async def test_any_stream_name_stays_within_the_folder(folder: Bench, name: str) -> None:
    made = (await fill(folder, name, [NOW]))[0]
    files = list(folder.directory.rglob("*.mkv"))
    assert len(files) == 1 and files[0].parent.parent == folder.directory / "fragments"
    assert files[0].read_bytes() == made.data


async def test_a_disk_that_refuses_is_waited_for(folder: Bench) -> None:
    (folder.directory / "fragments").rmdir()
    (folder.directory / "fragments").write_text("in the way")
    with pytest.raises(StoreAway):
        await folder.store.append("porch", fragment(NOW))
    (folder.directory / "fragments").unlink()
    (folder.directory / "fragments").mkdir()
    await folder.store.append("porch", fragment(NOW))
    assert len(all_of(folder, "porch")) == 1


# -- what is the topic's alone


@pytest.mark.kafka
async def test_a_new_index_is_made_from_the_topic(kafka: object, tmp_path: Path) -> None:
    bench = Bench(tmp_path, kafka.bootstrap, topic=f"video-{uuid.uuid4().hex[:8]}")  # type: ignore[attr-defined]
    await bench.open()
    made = await fill(bench, "porch", [NOW, NOW + 2000])
    digests = [entry.digest for entry in bench.index.latest("porch", 2)]
    await bench.close()
    await bench.open(fresh_index=True)
    assert all_of(bench, "porch") == [item.info for item in made]
    assert [entry.digest for entry in bench.index.latest("porch", 2)] == digests
    assert await bench.store.read(bench.index.last("porch")) == made[1].data  # type: ignore[arg-type]
    await bench.close()


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_broker_that_is_away_is_waited_for(own_kafka: object, tmp_path: Path) -> None:
    bench = Bench(tmp_path, own_kafka.bootstrap)  # type: ignore[attr-defined]
    await bench.open()
    log = VideoLog(StreamTable(bench.index.database), bench.index, bench.store)
    first = fragment(NOW)
    await log.append("porch", first)
    own_kafka.stop(kill=True)  # type: ignore[attr-defined]
    second = fragment(NOW + 2000, last=first.info.number)
    waiting = asyncio.create_task(log.append("porch", second))
    await asyncio.sleep(3)
    assert not waiting.done()
    own_kafka.start()  # type: ignore[attr-defined]
    await asyncio.wait_for(waiting, 90)
    await bench.close()
    await bench.open(fresh_index=True)
    assert all_of(bench, "porch") == [first.info, second.info]
    await bench.close()


def test_fragments_of_the_tests_are_files_of_their_own() -> None:
    assert read_fragment(fragment(NOW).data, "a fragment").duration == 2

"""The Kafka source and ``publish`` against Apache Kafka."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from connectors.kafka.source import group_name
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Position
from streamproc.core.media import GapReason, Packet
from streamproc.media.decode import Decoder
from streamproc.media.fragmenter import Fragmenter, Outgoing
from streamproc.media.reader import read_frames, read_packets
from tests.builders.clips import bar_clip
from tests.builders.watches import Watch

pytestmark = pytest.mark.kafka

BASE = datetime(2026, 11, 21, tzinfo=UTC)
CONTEXT = ConnectorContext(processor="door", node_id="box-1")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s, a keyframe every 2/3 s, reordered frames."""
    return bar_clip(tmp_path_factory.mktemp("kafka-clip") / "clip.mp4", frames=180)


@pytest.fixture(scope="module")
def fragments(clip: Path) -> list[Outgoing]:
    fragmenter = Fragmenter("mkv", Fraction(2))
    return [out for packet in read_packets(clip, BASE) for out in fragmenter.add(packet)] + fragmenter.finish()


@pytest.fixture
def topic() -> str:
    return f"video-{uuid.uuid4().hex[:8]}"


def produce(bootstrap: str, topic: str, messages: list[dict[str, Any]]) -> None:
    """``send_and_wait`` with these arguments, one after the other."""

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=9_000_000)
        await producer.start()
        for message in messages:
            await producer.send_and_wait(topic, **message)
        await producer.stop()

    asyncio.run(run())


def messages(fragments: list[Outgoing], key: bytes = b"cam", first_number: int = 100) -> list[dict[str, Any]]:
    made = []
    for number, out in enumerate(fragments, first_number):
        when = round(out.at.wall.timestamp() * 1000)
        headers = [("producer-timestamp", str(when).encode()), ("fragment-number", str(number).encode())]
        made.append({"value": out.data, "key": key, "timestamp_ms": when, "headers": headers})
    return made


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    watches: list[Watch] = []

    def make(bootstrap: str, topic: str, resume: Position | None = None, **settings: Any) -> Watch:
        ref = {"type": "kafka", "bootstrap_servers": bootstrap, "topic": topic, "stream": "cam", **settings}
        watches.append(Watch(make_source(ConnectorRef.model_validate(ref), CONTEXT), resume))
        return watches[-1]

    yield make
    for one in watches:
        one.finish()
        assert one.error is None


def test_a_log_gives_the_clip_back(kafka: Any, watch: Any, topic: str, clip: Path, fragments: list[Outgoing]) -> None:
    produce(
        kafka.bootstrap,
        topic,
        [m for pair in zip(messages(fragments), messages(fragments, b"dog"), strict=True) for m in pair],
    )
    feed = watch(kafka.bootstrap, topic, start="earliest")
    feed.until(lambda: len(feed.items) >= 180)
    frames, expected = feed.frames(), list(read_frames(clip, start_wall=BASE))
    assert len(frames) == len(expected)
    for frame, truth in zip(frames, expected, strict=True):
        assert abs(float(frame.at.media - truth.at.media)) <= 0.001
        assert abs(frame.at.wall - truth.at.wall) <= timedelta(milliseconds=2)
    last = frames[-1]
    assert (
        last.fragment is not None
        and last.fragment.number == "105"
        and last.fragment.producer == BASE + timedelta(seconds=10)
    )
    assert abs(float(last.offset) - (2 - 1 / 15)) < 0.002


SELECTORS = [
    ({"fragment": "102"}, 4.0),
    ({"fragment": 102}, 4.0),
    ({"fragment": "5"}, 0.0),
    ({"timestamp": "2026-11-21T00:00:06Z"}, 6.0),
    ({"timestamp": 1_795_219_206_000}, 6.0),
    ({"timestamp": 1_795_219_207.9}, 6.0),
    ({"timestamp": "2020-01-01"}, 0.0),
    ("earliest", 0.0),
]


def test_where_a_session_begins(kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]) -> None:
    produce(
        kafka.bootstrap,
        topic,
        [*messages(fragments[:3], b"dog", 7), *messages(fragments), *messages(fragments, b"dog", 7)],
    )
    feeds = [(watch(kafka.bootstrap, topic, start=start), begin) for start, begin in SELECTORS]
    for feed, begin in feeds:
        feed.until(lambda feed=feed: len(feed.items) > 5)
        first = feed.items[0]
        assert isinstance(first, Packet) and first.at.media == 0
        assert first.at.wall == BASE + timedelta(seconds=begin)


def test_latest_takes_what_comes(kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]) -> None:
    produce(kafka.bootstrap, topic, messages(fragments[:2]))
    feed = watch(kafka.bootstrap, topic)
    feed.until(lambda: not feed.source.note)
    time.sleep(0.5)
    produce(kafka.bootstrap, topic, messages(fragments[2:3], first_number=102))
    feed.until(lambda: len(feed.items) >= 30)
    assert feed.items[0].fragment.number == "102"


def test_what_cannot_be_read_is_skipped_and_reported(
    kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]
) -> None:
    good = messages(fragments)
    bad = [
        {"value": b"no video", "key": b"cam"},
        {"value": b"", "key": b"cam"},
        {"value": b"x" * 200_000, "key": b"cam"},
    ]
    produce(kafka.bootstrap, topic, [good[0], *bad, {"key": b"cam", "value": None}, good[0], good[1]])
    feed = watch(kafka.bootstrap, topic, start="earliest", max_fragment_bytes=100_000)
    feed.until(lambda: len(feed.items) >= 62)
    assert [gap.reason for gap in feed.gaps] == [GapReason.CORRUPT] * 2
    assert "offset 1" in feed.gaps[0].detail and "max_fragment_bytes" in feed.gaps[1].detail
    assert feed.source.skipped == 2
    assert len(feed.frames()) == 60, "a fragment that was sent twice is seen once"


def test_stopped_anywhere_and_resumed_nothing_is_lost_or_seen_twice(
    kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]
) -> None:
    produce(kafka.bootstrap, topic, messages(fragments))
    whole = watch(kafka.bootstrap, topic, start="earliest")
    whole.until(lambda: len(whole.items) >= 180)
    expected = [frame.at for frame in whole.frames()]
    for cut in (1, 30, 47, 100):
        decoder, seen = Decoder(), []
        for item in whole.items[:cut]:
            seen += [frame.at for frame in decoder.decode(item)]
        position = Position(json.loads(json.dumps(whole.positions[cut - 1].token)))
        rest = watch(kafka.bootstrap, topic, position, start="latest")
        wanted = sum(1 for item in whole.items[cut:])
        rest.until(
            lambda rest=rest, wanted=wanted: (
                len(rest.items) >= wanted and rest.items[-1].ends and rest.items[-1].fragment.number == "105"
            )
        )
        rest.finish()
        seen += [frame.at for frame in rest.frames(after=seen[-1].media if seen else None)]
        assert seen == expected


def test_offsets_are_committed_only_when_durable(kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]) -> None:
    async def committed() -> int | None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap, group_id=group_name(CONTEXT), enable_auto_commit=False
        )
        await consumer.start()
        try:
            return await consumer.committed(TopicPartition(topic, 0))
        finally:
            await consumer.stop()

    produce(kafka.bootstrap, topic, messages(fragments))
    feed = watch(kafka.bootstrap, topic, start="earliest")
    feed.until(lambda: len(feed.items) >= 180)
    time.sleep(1.5)
    assert asyncio.run(committed()) is None
    feed.source.durable(feed.positions[89])
    end = time.monotonic() + 10
    while (offset := asyncio.run(committed())) is None and time.monotonic() < end:
        time.sleep(0.2)
    assert offset == 3


def test_a_broker_that_restarts_is_waited_for(
    own_kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]
) -> None:
    made = messages(fragments)
    produce(own_kafka.bootstrap, topic, made[:2])
    feed = watch(own_kafka.bootstrap, topic, start="earliest")
    feed.until(lambda: len(feed.items) >= 60)
    own_kafka.stop()
    time.sleep(1.0)
    own_kafka.start()
    produce(own_kafka.bootstrap, topic, made[2:])
    feed.until(lambda: len(feed.items) >= 180, 60)
    assert not feed.gaps and len(feed.frames()) == 180


def test_publish_prints_a_line_a_fragment(kafka: Any, watch: Any, topic: str, clip: Path) -> None:
    command = [sys.executable, "-m", "streamproc", "publish", str(clip), "--kafka", kafka.bootstrap]
    command += ["--topic", topic, "--stream", "cam", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["offset"] for line in lines] == [0, 1, 2, 3, 4, 5]
    steps = [b["producer_timestamp"] - a["producer_timestamp"] for a, b in itertools.pairwise(lines)]
    assert all(abs(step - 2000) <= 1 for step in steps)
    feed = watch(kafka.bootstrap, topic, start={"fragment": str(lines[3]["number"])})
    feed.until(lambda: len(feed.items) >= 90)
    assert round(feed.items[0].at.wall.timestamp() * 1000) == lines[3]["producer_timestamp"]
    by_time = watch(kafka.bootstrap, topic, start={"timestamp": lines[4]["producer_timestamp"]})
    by_time.until(lambda: len(by_time.items) >= 60)
    assert by_time.items[0].fragment.number == lines[4]["number"]


def in_transaction(bootstrap: str, topic: str, messages: list[dict[str, Any]], commit: bool) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"t-{uuid.uuid4().hex[:8]}")
        await producer.start()
        await producer.begin_transaction()
        for message in messages:
            await producer.send_and_wait(topic, **message)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
        await producer.stop()

    asyncio.run(run())


def test_what_a_producer_took_back_is_never_seen(kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]) -> None:
    made = messages(fragments)
    in_transaction(kafka.bootstrap, topic, made[:1], commit=True)
    in_transaction(kafka.bootstrap, topic, made[1:2], commit=False)
    in_transaction(kafka.bootstrap, topic, made[2:4], commit=True)
    seen = watch(kafka.bootstrap, topic, start="earliest")
    seen.until(lambda: len({item.fragment.number for item in seen.items if isinstance(item, Packet)}) == 3)
    assert {item.fragment.number for item in seen.items if isinstance(item, Packet)} == {"100", "102", "103"}


@pytest.mark.parametrize("codec", ["lz4", "snappy", "zstd", "gzip"])
def test_compressed_topics_are_read(kafka: Any, watch: Any, topic: str, fragments: list[Outgoing], codec: str) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=codec)
        await producer.start()
        for message in messages(fragments[:2]):
            await producer.send_and_wait(topic, **message)
        await producer.stop()

    asyncio.run(run())
    seen = watch(kafka.bootstrap, topic, start="earliest")
    seen.until(lambda: len(seen.frames()) >= 55)


def stamped(message: dict[str, Any], when: str, also_record: bool = False) -> dict[str, Any]:
    headers = [(name, when.encode() if name == "producer-timestamp" else value) for name, value in message["headers"]]
    return {**message, "headers": headers, **({"timestamp_ms": int(when)} if also_record else {})}


@pytest.mark.parametrize("when", ["253402300799999", "253402300800000", "-5", "9" * 40, "nan"])
def test_a_producers_time_beyond_all_calendars_stops_nothing(
    kafka: Any, watch: Any, topic: str, fragments: list[Outgoing], when: str
) -> None:
    made = messages(fragments)
    produce(kafka.bootstrap, topic, [made[0], stamped(made[1], when), *made[2:4]])
    seen = watch(kafka.bootstrap, topic, start="earliest")
    seen.until(
        lambda: bool(seen.items) and isinstance(seen.items[-1], Packet) and seen.items[-1].fragment.number == "103"
    )
    assert seen.error is None and not seen.gaps


class Latin(str):
    """A header's name as producers that know no UTF-8 write it."""

    def encode(self, *_: Any) -> bytes:
        return str.encode(self, "latin-1")


def test_a_record_that_the_client_cannot_take_apart_is_a_gap_and_costs_no_other(
    kafka: Any, watch: Any, topic: str, fragments: list[Outgoing], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("producer.producer", "producer.message_accumulator"):  # the compiled builder takes no such name
        monkeypatch.setattr(f"aiokafka.{module}.DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    made = messages(fragments)
    odd = {**made[2], "headers": [*made[2]["headers"], (Latin("caméra"), b"1")]}
    produce(kafka.bootstrap, topic, [*made[:2], odd, made[3]])
    seen = watch(kafka.bootstrap, topic, start="earliest")
    seen.until(
        lambda: bool(seen.items) and isinstance(seen.items[-1], Packet) and seen.items[-1].fragment.number == "103"
    )
    numbers = {item.fragment.number for item in seen.items if isinstance(item, Packet)}
    assert seen.error is None and numbers == {"100", "101", "103"}
    assert [gap.reason for gap in seen.gaps][:1] == [GapReason.SKIPPED]


@pytest.mark.parametrize("also_record", [False, True])
def test_a_clock_that_was_not_set_yet_makes_no_gap_of_decades(
    kafka: Any, watch: Any, topic: str, fragments: list[Outgoing], also_record: bool
) -> None:
    made = messages(fragments)
    produce(kafka.bootstrap, topic, [stamped(made[0], "5000", also_record), *made[1:4]])
    seen = watch(kafka.bootstrap, topic, start="earliest")
    seen.until(
        lambda: bool(seen.items) and isinstance(seen.items[-1], Packet) and seen.items[-1].fragment.number == "103"
    )
    frames = seen.frames()
    assert not seen.gaps and frames[-1].at.media < 9


def create_topic(bootstrap: str, topic: str, partitions: int) -> None:
    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, partitions, 1)])
        await admin.close()

    asyncio.run(run())


def test_a_backlog_in_several_partitions_is_read_by_the_producers_clock(
    kafka: Any, watch: Any, topic: str, fragments: list[Outgoing]
) -> None:
    create_topic(kafka.bootstrap, topic, partitions=3)
    made = messages(fragments)
    produce(kafka.bootstrap, topic, [{**message, "partition": n % 3} for n, message in enumerate(made)])
    seen = watch(kafka.bootstrap, topic, start="earliest", stream=None)
    last = made[-1]["headers"][1][1].decode()
    seen.until(
        lambda: bool(seen.items) and isinstance(seen.items[-1], Packet) and seen.items[-1].fragment.number == last
    )
    numbers = [item.fragment.number for item in seen.items if isinstance(item, Packet)]
    assert not seen.gaps and numbers == sorted(numbers, key=int)

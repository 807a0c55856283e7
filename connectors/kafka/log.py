"""Reading a topic as what it is, a log: by partition and offset, without a group's rebalances.

A processor is the only reader of its feed, and where it stands is kept with its events. So partitions are assigned by hand; offsets are
committed to the broker for whoever watches the lag.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError, RecordTooLargeError

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started
from connectors.kafka.settings import KafkaConnection
from streamproc.logic.fragments import fragment_number, instant_of, producer_time

# What aiokafka logs while brokers are away, it logs several times a second; we say it ourselves, once a try.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

FETCH_BYTES = 4 * 1024 * 1024
WAIT_MS = 200
AT_ONCE = 16
"""Records that one read gives at most."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    number: str
    producer: datetime
    server: datetime
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Offsets that cannot be read any more, and why."""

    partition: int
    begin: int
    end: int
    reason: str


def record_of(message: Any) -> Record:
    """Ours out of aiokafka's."""
    headers = {name: bytes(value or b"") for name, value in message.headers or ()}
    server = instant_of(message.timestamp)
    return Record(
        message.partition,
        message.offset,
        message.key,
        message.value,
        fragment_number(headers, message.offset),
        producer_time(headers, server),
        server,
        headers,
    )


class TopicLog:
    """One topic, all of its partitions. Every method runs in one event loop."""

    def __init__(self, settings: KafkaConnection, context: ConnectorContext) -> None:
        self.topic = settings.topic
        self._options = client_options(settings, context)
        self._next: dict[TopicPartition, int] = {}
        """Offsets behind what was given out: the client's own position is lost where it breaks in the middle of a fetch."""
        self._consumer = AIOKafkaConsumer(
            **self._options,
            enable_auto_commit=False,
            auto_offset_reset="none",
            # What a producer took back (an aborted transaction) was never told.
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=4 * FETCH_BYTES,
            fetch_max_wait_ms=WAIT_MS,
            request_timeout_ms=10_000,
            metadata_max_age_ms=30_000,
        )

    async def start(self) -> None:
        """Connect. Raises KafkaError or OSError."""
        await started(self._consumer.start, self._options)

    async def stop(self) -> None:
        await self._consumer.stop()

    async def partitions(self) -> list[int]:
        """The topic's partitions; none while it does not exist."""
        # The public consumer only learns of topics that are assigned already, and which partitions to assign is the question.
        client = self._consumer._client
        await client.add_topic(self.topic)
        await client.force_metadata_update()
        return sorted(self._consumer.partitions_for_topic(self.topic) or ())

    def assign(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets."""
        places = {self._place(partition): offset for partition, offset in offsets.items()}
        self._next.clear()
        self._consumer.assign(list(places))
        for place, offset in places.items():
            self._seek(place, offset)

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        """The oldest offset and the one that comes next, by partition."""
        places = [self._place(partition) for partition in partitions]
        begin = await self._consumer.beginning_offsets(places)
        end = await self._consumer.end_offsets(places)
        return {place.partition: (begin[place], end[place]) for place in places}

    async def at_time(self, partitions: list[int], when: datetime) -> dict[int, int | None]:
        """The first offset whose record time is ``when`` or later, by the broker's time index; None: all are older."""
        wanted = {self._place(partition): round(when.timestamp() * 1000) for partition in partitions}
        found = await self._consumer.offsets_for_times(wanted)
        return {place.partition: None if found.get(place) is None else found[place].offset for place in wanted}

    async def read(self) -> list[Record | Skipped]:
        """What came, at most a moment's worth; nothing is also an answer. Raises KafkaError where the brokers say no."""
        try:
            return await self._fetched(AT_ONCE)
        except OffsetOutOfRangeError as error:
            return [await self._out_of_range(place, offset) for place, offset in error.args[0].items()]
        except Exception as error:  # what the client raises of a record that it cannot take apart is of any kind
            if not _of_a_record(error):
                raise
            return [item for place in list(self._next) for item in await self._one_by_one(place)]

    async def caught_up(self) -> set[int]:
        """Partitions of which everything that can be read now was fetched and given out."""
        done = set()
        for place in self._consumer.assignment():
            end = self._consumer.last_stable_offset(place)
            if end is not None and await self._consumer.position(place) >= end:
                done.add(place.partition)
        return done

    def pause(self, partitions: Collection[int]) -> None:
        """Fetch from these partitions no further until they are left out of another call."""
        wanted = {self._place(partition) for partition in partitions}
        paused = set(self._consumer.paused())
        if paused - wanted:
            self._consumer.resume(*(paused - wanted))
        if wanted - paused:
            self._consumer.pause(*(wanted - paused))

    async def one(self, partition: int, offset: int, end: int) -> Record | None:
        """The record at ``offset``, or the next that exists below ``end``."""
        self.assign({partition: offset})
        while offset < end:
            for item in await self.read():
                if isinstance(item, Record):
                    return item if item.offset < end else None
            offset = await self._consumer.position(self._place(partition))
        return None

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    async def _out_of_range(self, place: TopicPartition, offset: int) -> Skipped:
        """Retention was faster than we are, or the topic was made anew: whatever is there now is new to us."""
        begin, _ = (await self.bounds([place.partition]))[place.partition]
        self._seek(place, begin)
        return Skipped(place.partition, offset, begin, "the broker no longer has these fragments")

    async def _one_by_one(self, place: TopicPartition) -> list[Record | Skipped]:
        """A record that cannot be read must not stop those behind it, nor cost those before it."""
        self._seek(place, self._next[place])
        found: list[Record | Skipped] = []
        try:
            while len(found) < AT_ONCE and (came := await self._fetched(1, place)):
                found += came
        except Exception as error:
            if not _of_a_record(error):
                raise
            offset = self._next[place]
            self._seek(place, offset + 1)
            found.append(Skipped(place.partition, offset, offset + 1, f"it cannot be read: {type(error).__name__}"))
        return found

    async def _fetched(self, most: int, *places: TopicPartition) -> list[Record | Skipped]:
        batches = await self._consumer.getmany(*places, timeout_ms=WAIT_MS, max_records=most)
        for place, messages in batches.items():
            if messages:
                self._next[place] = messages[-1].offset + 1
        return [record_of(message) for messages in batches.values() for message in messages]

    def _seek(self, place: TopicPartition, offset: int) -> None:
        self._consumer.seek(place, offset)
        self._next[place] = offset


def _of_a_record(error: Exception) -> bool:
    """Whether one record is at fault, and neither the brokers nor the way to them."""
    return isinstance(error, RecordTooLargeError | CorruptRecordException) or not isinstance(
        error, KafkaError | OSError
    )


class OffsetNotes:
    """Offsets committed to the brokers under a group's name. Connects when there is something to commit."""

    def __init__(self, settings: KafkaConnection, context: ConnectorContext, group: str) -> None:
        self._settings = settings
        self._context = context
        self._group = group
        # Not the reading consumer: aiokafka's group coordinator does not bear being assigned anew.
        self._consumer: AIOKafkaConsumer | None = None

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Tell the broker how far we are, by partition. Raises KafkaError."""
        places = {TopicPartition(self._settings.topic, partition): offset for partition, offset in offsets.items()}
        if self._consumer is not None and self._consumer.assignment() != set(places):
            await self.stop()
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._settings, self._context),
                group_id=self._group,
                enable_auto_commit=False,
                request_timeout_ms=10_000,
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            consumer.assign(list(places))
            self._consumer = consumer
        await self._consumer.commit(places)

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

"""What a slot has committed: written by one producer at a time, which fences the one before, and read back by the next owner."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    NoError,
    ProducerFenced,
    TopicAlreadyExistsError,
    for_code,
)

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started, words
from connectors.kafka.log import Record, TopicLog
from connectors.kafka.publisher import REQUEST_MS, TOPIC_MESSAGE_BYTES
from connectors.kafka.settings import KafkaConnection
from streamproc.core.errors import SourceError, StreamprocError

TRANSACTION_MS = 10_000
"""A transaction that nobody ends keeps readers waiting for so long at most; the next owner's start ends it at once."""
COMMIT_S = 8.0
LEAVE_S = 3.0


class Lost(StreamprocError):
    """Another producer has the slot: nothing of this one is taken any more."""


class Uncertain(StreamprocError):
    """The brokers did not say whether they have it. Only starting again tells."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a commit."""

    topic: str
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class SlotWriter:
    """The producer of one slot from its start to its fence. Use in one event loop, one commit at a time."""

    def __init__(self, settings: KafkaConnection, context: ConnectorContext, cluster: str, slot: int) -> None:
        self.slot = slot
        self._options = client_options(settings, context)
        self._name = settings.bootstrap_servers
        self._producer = AIOKafkaProducer(
            **self._options,
            transactional_id=f"{cluster}-slot-{slot}",
            transaction_timeout_ms=TRANSACTION_MS,
            acks="all",
            request_timeout_ms=REQUEST_MS,
            max_request_size=TOPIC_MESSAGE_BYTES,
            linger_ms=0,
        )

    async def start(self) -> None:
        """Fence whoever had the slot; what it had not committed is gone. Raises SourceError."""
        try:
            async with asyncio.timeout(REQUEST_MS / 1000):
                await started(self._producer.start, self._options)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise SourceError(f"{self._name}: {words(error)}") from None

    async def commit(self, entries: Sequence[Entry]) -> list[int]:
        """All or nothing; their offsets when the brokers have them. Raises Lost, or Uncertain: then this writer is of no use any more."""
        try:
            async with asyncio.timeout(COMMIT_S):
                await self._producer.begin_transaction()
                sent = [await self._send(entry) for entry in entries]
                placed = await asyncio.gather(*sent)
                await self._producer.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch) as error:
            raise Lost(f"slot {self.slot}: {words(error)}") from None
        except (KafkaError, OSError, TimeoutError, AssertionError) as error:
            raise Uncertain(f"slot {self.slot}: {words(error)}") from None
        return [each.offset for each in placed]

    async def _send(self, entry: Entry) -> asyncio.Future[Any]:
        placed: asyncio.Future[Any] = await self._producer.send(
            entry.topic, entry.value, entry.key.encode(), partition=self.slot, headers=list(entry.headers)
        )
        # Nobody waits for it where another of the same commit has failed before.
        placed.add_done_callback(lambda done: done.cancelled() or done.exception())
        return placed

    async def close(self) -> None:
        """Let go of the brokers, whether they answer or not."""
        with contextlib.suppress(KafkaError, OSError, TimeoutError, AssertionError):
            async with asyncio.timeout(LEAVE_S):
                await self._producer.stop()


async def read_slot(settings: KafkaConnection, context: ConnectorContext, slot: int, begin: int = 0) -> list[Record]:
    """Everything that is committed in the slot's partition of the topic, from an offset on. Raises SourceError."""
    log = TopicLog(settings, context)
    records: list[Record] = []
    try:
        await log.start()
        first, end = (await log.bounds([slot]))[slot]
        log.assign({slot: max(begin, first)})
        if max(begin, first) >= end:
            return []
        while slot not in await log.caught_up():
            records += [item for item in await log.read() if isinstance(item, Record)]
    except (KafkaError, OSError) as error:
        raise SourceError(f"{settings.bootstrap_servers}, topic {settings.topic}: {words(error)}") from None
    finally:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await log.stop()
    return records


async def follow_slots(
    settings: KafkaConnection, context: ConnectorContext, begins: Mapping[int, int]
) -> AsyncIterator[list[Record]]:
    """What is committed in the partitions of the topic and what comes, for ever; at least every moment. ``begins``: offsets by partition, from its
    beginning where there is none. Raises SourceError, also where the topic is not there yet."""
    log = TopicLog(settings, context)
    try:
        await log.start()
        bounds = await log.bounds(await log.partitions())
        if not bounds:
            raise SourceError(f"{settings.bootstrap_servers} has no topic {settings.topic} yet")
        # Beyond the end: the topic was made anew.
        known = {slot: begins.get(slot, first) for slot, (first, _) in bounds.items()}
        log.assign(
            {
                slot: at if first <= at <= end else first
                for (slot, at), (first, end) in zip(known.items(), bounds.values(), strict=True)
            }
        )
        while True:
            yield [item for item in await log.read() if isinstance(item, Record)]
    except (KafkaError, OSError) as error:
        raise SourceError(f"{settings.bootstrap_servers}, topic {settings.topic}: {words(error)}") from None
    finally:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await log.stop()


async def make_topics(
    settings: KafkaConnection, context: ConnectorContext, topics: Mapping[str, Mapping[str, str]], partitions: int
) -> None:
    """Make the topics, with their configs, where they are missing. Raises SourceError, also where one has another number of partitions."""
    options = client_options(settings, context)
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=REQUEST_MS)
    try:
        await started(admin.start, options)
        copies = min(3, max(1, len((await admin.describe_cluster())["brokers"])))
        sizes = {"max.message.bytes": str(TOPIC_MESSAGE_BYTES), "min.insync.replicas": str(max(1, copies - 1))}
        wanted = [
            NewTopic(name, partitions, copies, topic_configs={**sizes, **configs}) for name, configs in topics.items()
        ]
        answer = await admin.create_topics(wanted)
        for _, code, *said in answer.topic_errors:
            if code not in (NoError.errno, TopicAlreadyExistsError.errno):
                raise for_code(code)(*said)
        for topic in await admin.describe_topics(list(topics)):
            if topic["partitions"] and len(topic["partitions"]) != partitions:
                raise SourceError(
                    f"topic {topic['topic']} has {len(topic['partitions'])} partitions, cluster.partitions says {partitions}"
                )
    except (KafkaError, OSError) as error:
        raise SourceError(f"{settings.bootstrap_servers}: {words(error)}") from None
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await admin.close()

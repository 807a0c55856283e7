"""Puts fragments into a topic, as ``KafkaSource`` reads them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, NoError, TopicAlreadyExistsError, for_code

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started, words
from connectors.kafka.settings import KafkaConnection
from streamproc.core.errors import SinkBusy, SinkRejected
from streamproc.logic.fragments import FRAGMENT_HEADER, PRODUCER_HEADER

MAX_FRAGMENT_BYTES = 33_554_432
TOPIC_MESSAGE_BYTES = 10_485_760
"""``max.message.bytes`` of a topic that is made here; Kafka's own default of 1 MB is too small for video."""
REQUEST_MS = 15_000

# aiokafka's own words come several times a second while brokers are away; failures are raised.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a fragment lies in the log."""

    number: str
    partition: int
    offset: int


class FragmentPublisher:
    """An idempotent producer that waits for all in-sync replicas. Use in one event loop."""

    def __init__(self, settings: KafkaConnection, context: ConnectorContext, stream: str) -> None:
        self._settings = settings
        self._context = context
        self._key = stream.encode()
        self._producer: AIOKafkaProducer | None = None
        self._partition = 0
        self._number = 0

    async def start(self) -> None:
        """Connect, make the topic where it is missing, and go on numbering behind its end. Raises SinkBusy."""
        options = client_options(self._settings, self._context)
        try:
            await make_topic(self._settings, self._context)
            producer = AIOKafkaProducer(
                **options,
                enable_idempotence=True,
                acks="all",
                max_request_size=MAX_FRAGMENT_BYTES,
                request_timeout_ms=REQUEST_MS,
            )
            self._producer = producer
            await producer.start()
            partitions = await producer.partitions_for(self._settings.topic)
            # The default partitioner's own choice for this key, asked for once: numbers follow that partition's offsets.
            self._partition = producer._partition(self._settings.topic, None, None, None, self._key, b"")
            self._number = await self._end(self._partition)
            assert self._partition in partitions
        except (KafkaError, OSError) as error:
            raise SinkBusy(f"{self._settings.bootstrap_servers}: {words(error)}") from None

    async def send(self, data: bytes, producer_time: datetime) -> Receipt:
        """Write one fragment; returns when the brokers have it. Raises SinkBusy or SinkRejected."""
        assert self._producer is not None
        milliseconds = round(producer_time.timestamp() * 1000)
        number = str(self._number)
        try:
            done = await self._producer.send_and_wait(
                self._settings.topic,
                data,
                key=self._key,
                partition=self._partition,
                timestamp_ms=milliseconds,
                headers=[(PRODUCER_HEADER, str(milliseconds).encode()), (FRAGMENT_HEADER, number.encode())],
            )
        except MessageSizeTooLargeError:
            raise SinkRejected(
                f"the fragment has {len(data)} bytes, more than the topic takes: raise max.message.bytes of {self._settings.topic}, "
                "or publish shorter fragments"
            ) from None
        except (KafkaError, OSError) as error:
            raise SinkBusy(f"{self._settings.bootstrap_servers}: {words(error)}") from None
        self._number += 1
        return Receipt(number, done.partition, done.offset)

    async def stop(self) -> None:
        if self._producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(REQUEST_MS / 1000):
                    await self._producer.stop()

    async def _end(self, partition: int) -> int:
        """The partition's next offset."""
        from connectors.kafka.log import TopicLog

        log = TopicLog(self._settings, self._context)
        try:
            await log.start()
            return (await log.bounds([partition]))[partition][1]
        finally:
            await log.stop()


async def make_topic(
    settings: KafkaConnection, context: ConnectorContext, configs: Mapping[str, str] | None = None
) -> None:
    """Make the topic with one partition where it is missing. ``configs`` of a topic that is made here. Raises KafkaError or OSError."""
    options = client_options(settings, context)
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=REQUEST_MS)
    try:
        await started(admin.start, options)
        copies = min(3, max(1, len((await admin.describe_cluster())["brokers"])))
        sizes = {"max.message.bytes": str(TOPIC_MESSAGE_BYTES), **(configs or {})}
        answer = await admin.create_topics([NewTopic(settings.topic, 1, copies, topic_configs=sizes)])
        for _, code, *words in answer.topic_errors:
            if code not in (NoError.errno, TopicAlreadyExistsError.errno):
                raise for_code(code)(*words)
    finally:
        await admin.close()

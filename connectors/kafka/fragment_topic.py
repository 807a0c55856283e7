"""A topic as a store of fragments: append one, read one again, read all from an offset on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started, words
from connectors.kafka.log import Record, TopicLog
from connectors.kafka.publisher import MAX_FRAGMENT_BYTES, REQUEST_MS, TOPIC_MESSAGE_BYTES, make_topic
from connectors.kafka.settings import KafkaConnection
from streamproc.core.errors import SinkBusy, SinkRejected, SourceError
from streamproc.logic.fragments import FRAGMENT_HEADER, PRODUCER_HEADER, SESSION_HEADER

READ_S = 10.0
"""A fragment that the brokers do not give within so long counts as away for now."""
ENVELOPE_BYTES = 65_536
"""Room for key and headers beside the largest fragment in a message."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the topic keeps messages, where it is made here."""

    milliseconds: int
    bytes: int


class FragmentTopic:
    """An idempotent producer that waits for all in-sync replicas, and a reader. Use in one event loop; ``start`` may be called again."""

    max_fragment_bytes = TOPIC_MESSAGE_BYTES - ENVELOPE_BYTES

    def __init__(self, settings: KafkaConnection, context: ConnectorContext, retention: Retention) -> None:
        self.name = f"{settings.bootstrap_servers}, topic {settings.topic}"
        self._settings = settings
        self._context = context
        self._retention = retention
        self._producer: AIOKafkaProducer | None = None
        self._log: TopicLog | None = None
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Connect, and make the topic where it is missing. Raises SinkBusy while the brokers are away."""
        options = client_options(self._settings, self._context)
        try:
            await make_topic(
                self._settings,
                self._context,
                {"retention.ms": str(self._retention.milliseconds), "retention.bytes": str(self._retention.bytes)},
            )
            producer = AIOKafkaProducer(
                **options,
                enable_idempotence=True,
                acks="all",
                max_request_size=MAX_FRAGMENT_BYTES,
                request_timeout_ms=REQUEST_MS,
            )
            self._producer = producer
            await started(producer.start, options)
            self._log = TopicLog(self._settings, self._context)
            await self._log.start()
        except (KafkaError, OSError) as error:
            await self.stop()
            raise SinkBusy(f"{self.name}: {words(error)}") from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def append(
        self, stream: str, data: bytes, *, number: str, producer_ms: int, server_ms: int, session: str = ""
    ) -> tuple[int, int]:
        """(partition, offset) once the brokers have it. ``session``: of the producer. Raises SinkBusy or SinkRejected."""
        assert self._producer is not None
        headers = [(PRODUCER_HEADER, str(producer_ms).encode()), (FRAGMENT_HEADER, number.encode())]
        if session:
            headers.append((SESSION_HEADER, session.encode()))
        try:
            done = await self._producer.send_and_wait(
                self._settings.topic,
                data,
                key=stream.encode(),
                timestamp_ms=server_ms,
                headers=headers,
            )
        except MessageSizeTooLargeError:
            raise SinkRejected(
                f"the fragment has {len(data)} bytes, more than the topic takes: raise max.message.bytes of {self._settings.topic}"
            ) from None
        except (KafkaError, OSError) as error:
            raise SinkBusy(f"{self.name}: {words(error)}") from None
        return done.partition, done.offset

    async def read(self, partition: int, offset: int) -> list[Record]:
        """The record at ``offset`` and those behind it that came along; empty where it is gone. Raises SourceError."""
        assert self._log is not None
        until = time.monotonic() + READ_S
        async with self._reading:
            try:
                begin, end = (await self._log.bounds([partition]))[partition]
                if not begin <= offset < end:
                    return []
                self._log.assign({partition: offset})
                while time.monotonic() < until:
                    found = await self._log.read()
                    if found:
                        records = [item for item in found if isinstance(item, Record)]
                        return records if records and records[0].offset == offset else []
            except (KafkaError, OSError) as error:
                raise SourceError(f"{self.name}: {words(error)}") from None
        raise SourceError(f"{self.name}: no answer within {READ_S:.0f} s")

    async def follow(self, offsets: Mapping[int, int]) -> AsyncIterator[list[Record]]:
        """What stands in these partitions from these offsets on and what comes, for ever; at least every moment. Raises SourceError."""
        log = TopicLog(self._settings, self._context)
        try:
            await log.start()
            log.assign(offsets)
            while True:
                yield [item for item in await log.read() if isinstance(item, Record)]
        except (KafkaError, OSError) as error:
            raise SourceError(f"{self.name}: {words(error)}") from None
        finally:
            await _left(log.stop)

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """The oldest offset and the one that comes next, by partition. Raises SourceError."""
        assert self._log is not None
        try:
            return await self._log.bounds(await self._log.partitions())
        except (KafkaError, OSError) as error:
            raise SourceError(f"{self.name}: {words(error)}") from None

    async def stop(self) -> None:
        """Let go of the brokers, whether they answer or not."""
        producer, self._producer = self._producer, None
        log, self._log = self._log, None
        for leave in (producer.stop if producer is not None else None, log.stop if log is not None else None):
            if leave is not None:
                await _left(leave)


async def _left(leave: Callable[[], Awaitable[None]]) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(REQUEST_MS / 1000):
            await leave()

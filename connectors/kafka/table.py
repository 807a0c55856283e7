"""A compacted topic as a table that several processes keep in step with: the newest value of each key is what stands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started, words
from connectors.kafka.log import Record, TopicLog
from connectors.kafka.publisher import REQUEST_MS, make_topic
from connectors.kafka.settings import KafkaConnection
from streamproc.core.errors import SinkBusy, SinkRejected, SourceError

PUT_S = 15.0
LEAVE_S = 3.0
_DAY_MS = 24 * 3600 * 1000
TABLE_TOPIC = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": str(_DAY_MS // 24),
    "max.compaction.lag.ms": str(_DAY_MS),
    "delete.retention.ms": str(7 * _DAY_MS),
}
"""Of a topic that is made here. What was deleted is gone from the brokers' disks about a day later; who was away for less than a week reads the
deletion itself."""


@dataclass(frozen=True, slots=True)
class Change:
    """A key and its new value; None: it is deleted."""

    key: str
    value: bytes | None
    place: int = -1
    """In the order of the log."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes in the order of the log."""

    changes: Sequence[Change]
    complete: bool
    """Whether everything that stood in the topic when reading began has been given out."""


class TableTopic:
    """One partition, so that all see all changes in one order. Use in one event loop."""

    def __init__(self, settings: KafkaConnection, context: ConnectorContext) -> None:
        self.name = f"{settings.bootstrap_servers}, topic {settings.topic}"
        self._settings = settings
        self._context = context
        self._producer: AIOKafkaProducer | None = None

    async def put(self, changes: Mapping[str, bytes | None]) -> dict[str, int]:
        """The place of each by key, when all in-sync replicas have all of them. Raises SinkBusy, SinkRejected."""
        try:
            async with asyncio.timeout(PUT_S):
                producer = await self._ready()
                sent = [
                    await producer.send(self._settings.topic, value, key=key.encode(), partition=0)
                    for key, value in changes.items()
                ]
                return {key: done.offset for key, done in zip(changes, await asyncio.gather(*sent), strict=True)}
        except TimeoutError:
            await self.stop()  # an idempotent producer would try for ever; what it holds may come twice
            raise SinkBusy(f"{self.name}: no answer within {PUT_S:.0f} s") from None
        except MessageSizeTooLargeError as error:
            raise SinkRejected(f"{self.name}: {words(error)}") from None
        except (KafkaError, OSError) as error:
            raise SinkBusy(f"{self.name}: {words(error)}") from None

    async def follow(self) -> AsyncIterator[Batch]:
        """Everything from the beginning on, then what comes, for ever; a batch at least every moment. Raises SourceError while the brokers are away."""
        log = TopicLog(self._settings, self._context)
        try:
            await make_topic(self._settings, self._context, TABLE_TOPIC)
            await log.start()
            begin, end = (await log.bounds([0]))[0]
            log.assign({0: begin})
            complete = begin >= end
            while True:
                found = await log.read()
                complete = complete or 0 in await log.caught_up()
                records = [item for item in found if isinstance(item, Record) and item.key is not None]
                yield Batch(
                    [Change((each.key or b"").decode(errors="replace"), each.value, each.offset) for each in records],
                    complete,
                )
        except (KafkaError, OSError) as error:
            raise SourceError(f"{self.name}: {words(error)}") from None
        finally:
            await _left(log.stop())

    async def stop(self) -> None:
        """Let go of the brokers, whether they answer or not."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _left(producer.stop())

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            options = client_options(self._settings, self._context)
            await make_topic(self._settings, self._context, TABLE_TOPIC)
            producer = AIOKafkaProducer(
                **options, enable_idempotence=True, acks="all", request_timeout_ms=REQUEST_MS, max_request_size=10**7
            )
            try:
                await started(producer.start, options)
            except BaseException:
                await _left(producer.stop())
                raise
            self._producer = producer
        return self._producer


async def _left(stopping: object) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(LEAVE_S):
            await stopping  # type: ignore[misc]

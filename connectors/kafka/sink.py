"""Events as messages of a Kafka topic."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started, words
from connectors.kafka.settings import KafkaSinkSettings
from streamproc.contracts import Delivery
from streamproc.core.errors import InputError, SinkBusy, SinkRejected
from streamproc.core.event import Event
from streamproc.plain import to_line

_REQUEST_MS = 10_000
_PATIENCE_S = 8.0
_OVERHEAD = 512
"""Headers, key and framing of a message."""


class KafkaSink:
    """An idempotent producer that waits for all in-sync replicas. Headers: ``id`` (the event's) and ``type``."""

    guarantee = (
        "every event at least once, in the order of its session within its partition; replicated (acks=all) before it counts as "
        "delivered. The producer is idempotent; after a crash the last ones may come again under the same ``id`` header"
    )

    def __init__(self, settings: KafkaSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._context = context
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._handed: dict[str, asyncio.Future[Any]] = {}
        """Messages that the producer has and the brokers have not confirmed, by event id."""

    async def deliver(self, delivery: Delivery) -> None:
        event = delivery.event
        value = to_line(delivery.document(self._settings.format)).encode()
        if len(value) + _OVERHEAD > self._settings.max_bytes:
            raise SinkRejected(f"the message has {len(value)} bytes, max_bytes is {self._settings.max_bytes}")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._send(event, value)
        except TimeoutError:
            raise SinkBusy(f"{self._settings.bootstrap_servers}: no answer within {_PATIENCE_S:.0f} s") from None
        except (MessageSizeTooLargeError, InvalidTopicError) as error:
            raise SinkRejected(words(error)) from error
        except (ProducerFenced, OutOfOrderSequenceNumber, UnknownProducerId) as error:
            await self._forget()  # This producer's numbering is of no use any more; the next one begins anew.
            raise SinkBusy(words(error)) from error
        except InvalidTimestampError as error:
            # The refused message has taken a number: what follows in its partition would be out of order.
            await self._forget()
            raise SinkBusy(f"{self._settings.bootstrap_servers}: {words(error)}; set this node's clock") from error
        except (KafkaError, OSError) as error:
            raise SinkBusy(f"{self._settings.bootstrap_servers}: {words(error)}") from error
        except InputError as error:
            raise SinkBusy(str(error)) from error

    async def aclose(self) -> None:
        await self._forget()

    async def _send(self, event: Event, value: bytes) -> None:
        """Returns when the brokers have it.

        An idempotent producer never gives up on a message that it was handed. So when nobody answers, the message stays with it,
        and a later attempt waits for that one instead of handing it over again.
        """
        handed = self._handed.get(event.id)
        if handed is None:
            producer = await self._started()
            handed = await producer.send(
                self._settings.topic,
                value,
                key=self._key(event),
                timestamp_ms=round(self._stamp(event) * 1000),
                headers=[("id", event.id.encode()), ("type", event.type.value.encode())],
            )
            self._handed[event.id] = handed
        try:
            await asyncio.shield(handed)
        finally:
            if handed.done():
                self._handed.pop(event.id, None)

    def _stamp(self, event: Event) -> float:
        """Of the message, seconds since 1970: the event's time. Brokers refuse what is an hour ahead of them, so an event of a time when
        this node's clock was wrong gets the time of now (the event itself keeps its own)."""
        return min(event.at.wall.timestamp(), self._context.clock().timestamp())

    def _key(self, event: Event) -> bytes:
        keys = {"session": event.session, "processor": event.processor, "event": event.id}
        return keys[self._settings.key].encode()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                compression = None if self._settings.compression == "none" else self._settings.compression
                options = client_options(self._settings, self._context)
                producer = AIOKafkaProducer(
                    **options,
                    enable_idempotence=True,
                    acks="all",
                    max_request_size=self._settings.max_bytes,
                    request_timeout_ms=_REQUEST_MS,
                    retry_backoff_ms=100,
                    compression_type=compression,
                )
                try:
                    await started(producer.start, options)
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _forget(self) -> None:
        producer, self._producer = self._producer, None
        waiting, self._handed = self._handed, {}
        if producer is None:
            return
        if waiting:
            # stop() would flush first, for as long as the brokers are away. What they did not confirm is still owed.
            await producer._sender.close()
        await producer.stop()

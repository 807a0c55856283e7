"""Records beside those of a slot's owner: what anybody may write into its partition."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from connectors.context import ConnectorContext
from connectors.kafka.connection import client_options, started, words
from connectors.kafka.publisher import REQUEST_MS, TOPIC_MESSAGE_BYTES
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.slot_log import LEAVE_S, Entry
from streamproc.core.errors import SinkBusy

PUT_S = 10.0


class SlotNotes:
    """Connects when there is something to write. Use in one event loop. The topics must be there, with their partitions."""

    def __init__(self, settings: KafkaConnection, context: ConnectorContext) -> None:
        self._settings = settings
        self._context = context
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def put(self, entries: Sequence[tuple[int, Entry]]) -> list[int]:
        """Each into its slot's partition; their offsets, when all in-sync replicas have all of them. Raises SinkBusy: then some may be there."""
        try:
            async with asyncio.timeout(PUT_S):
                producer = await self._ready()
                sent = [
                    await producer.send(entry.topic, entry.value, key=entry.key.encode(), partition=slot)
                    for slot, entry in entries
                ]
                return [done.offset for done in await asyncio.gather(*sent)]
        except TimeoutError:
            await self.stop()  # an idempotent producer would try for ever
            raise SinkBusy(f"{self._settings.bootstrap_servers}: no answer within {PUT_S:.0f} s") from None
        except (KafkaError, OSError) as error:
            raise SinkBusy(f"{self._settings.bootstrap_servers}: {words(error)}") from None

    async def stop(self) -> None:
        """Let go of the brokers, whether they answer or not."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _left(producer)

    async def _ready(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                options = client_options(self._settings, self._context)
                producer = AIOKafkaProducer(
                    **options,
                    enable_idempotence=True,
                    acks="all",
                    request_timeout_ms=REQUEST_MS,
                    max_request_size=TOPIC_MESSAGE_BYTES,
                )
                try:
                    await started(producer.start, options)
                except BaseException:
                    await _left(producer)
                    raise
                self._producer = producer
            return self._producer


async def _left(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError, AssertionError):
        async with asyncio.timeout(LEAVE_S):
            await producer.stop()

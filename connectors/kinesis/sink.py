"""Puts each event as one record into a Kinesis data stream."""

from __future__ import annotations

import asyncio

from connectors.aws import AwsClient
from connectors.context import ConnectorContext
from connectors.kinesis.settings import KinesisSinkSettings
from streamproc.contracts import Delivery
from streamproc.core.errors import SinkRejected
from streamproc.plain import to_line

MAX_BYTES = 1024 * 1024
"""Kinesis's own limit for a record."""


class KinesisSink:
    """See ``contracts.Sink``. All records of a session share a partition key, so a reader of the shard sees them in order."""

    guarantee = "every event at least once, in the order of its session; after a crash the last ones may come again"

    def __init__(self, settings: KinesisSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._client = AwsClient("kinesis", settings, context, region=settings.stream_arn.split(":")[3])

    async def deliver(self, delivery: Delivery) -> None:
        data = to_line(delivery.document(self._settings.format)).encode()
        if len(data) > MAX_BYTES:
            raise SinkRejected(f"the record has {len(data)} bytes, Kinesis takes {MAX_BYTES}")
        session = delivery.event.session
        await self._client.call("put_record", StreamARN=self._settings.stream_arn, Data=data, PartitionKey=session)

    async def aclose(self) -> None:
        await asyncio.shield(self._client.aclose())

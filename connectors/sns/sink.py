"""Events as messages of an SNS topic."""

from __future__ import annotations

import asyncio
from typing import Any

from connectors.aws import AwsClient
from connectors.context import ConnectorContext
from connectors.sns.settings import SnsSinkSettings
from streamproc.contracts import Delivery
from streamproc.core.errors import SinkRejected
from streamproc.core.event import EventType
from streamproc.plain import to_line

SUBJECT = "Rekognition Stream Processing Event"
"""The service's subject; its consumers filter by it."""
MAX_BYTES = 256 * 1024
"""SNS's own limit for a message."""


class SnsSink:
    """Publishes each event's document as the message, a JSON string."""

    guarantee = (
        "every event at least once, published in the order of its session (a standard topic itself keeps no order); after a "
        "crash the last ones may come again under the same id. On a FIFO topic: once and in order"
    )

    def __init__(self, settings: SnsSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        region = settings.topic_arn.split(":")[3] or None
        self._client = AwsClient("sns", settings, context, region=region)

    async def deliver(self, delivery: Delivery) -> None:
        event = delivery.event
        message = to_line(delivery.document(self._settings.format))
        if len(message.encode()) > MAX_BYTES:
            raise SinkRejected(f"the message has {len(message.encode())} bytes, SNS takes {MAX_BYTES}")
        # The service gives its jobs' completions no subject.
        extra: dict[str, Any] = {} if event.type is EventType.JOB_COMPLETE else {"Subject": SUBJECT}
        if self._settings.topic_arn.endswith(".fifo"):
            extra |= {"MessageGroupId": event.session, "MessageDeduplicationId": event.id}
        await self._client.call("publish", TopicArn=self._settings.topic_arn, Message=message, **extra)

    async def look(self) -> None:
        """Ask for the topic, as ``deliver`` would for a place in it. Raises SinkError, with ``missing`` where there is none."""
        await self._client.call("get_topic_attributes", TopicArn=self._settings.topic_arn)

    async def aclose(self) -> None:
        await asyncio.shield(self._client.aclose())

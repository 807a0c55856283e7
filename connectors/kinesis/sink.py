"""Puts each event as one record into a Kinesis data stream."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from connectors.context import ConnectorContext
from connectors.kinesis.settings import KinesisSinkSettings
from streamproc.contracts import Delivery
from streamproc.core.errors import SinkBusy, SinkRejected

_NEVER = frozenset(
    {"ResourceNotFoundException", "AccessDeniedException", "InvalidArgumentException", "ValidationException"}
)
_QUIET = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=5, read_timeout=20)


class KinesisSink:
    """See ``contracts.Sink``. All records of a session share a partition key, so a reader of the shard sees them in order."""

    guarantee = "nothing is lost; a record may come twice after a crash; in order within a session"

    def __init__(self, settings: KinesisSinkSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._region = settings.region or settings.stream_arn.split(":")[3]
        self._endpoint_url = settings.endpoint_url or context.endpoint_url
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._connecting = asyncio.Lock()

    async def deliver(self, delivery: Delivery) -> None:
        document = delivery.document(self._settings.format)
        data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            client = await self._connected()
            await client.put_record(StreamARN=self._settings.stream_arn, Data=data, PartitionKey=delivery.event.session)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _NEVER:
                raise SinkRejected(f"{self._settings.stream_arn}: {error}") from error
            raise SinkBusy(f"{self._settings.stream_arn}: {error}") from error
        except (BotoCoreError, OSError, TimeoutError) as error:
            raise SinkBusy(f"{self._settings.stream_arn}: {error}") from error

    async def aclose(self) -> None:
        await self._stack.aclose()
        self._client = None

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None:
                made = get_session().create_client(
                    "kinesis", region_name=self._region, endpoint_url=self._endpoint_url, config=_QUIET
                )
                self._client = await self._stack.enter_async_context(made)
            return self._client

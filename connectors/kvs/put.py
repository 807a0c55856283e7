"""PutMedia: fragments into a stream of a Kinesis Video service, each told back when it is durable. No SDK for Python has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import open_client
from connectors.aws_access import AwsAccess
from connectors.chain import chain_credentials
from connectors.kvs.faults import Place, code_of, source_error
from streamproc.core.errors import InputError, SinkBusy, SinkRejected, SourceRefused
from streamproc.media import ebml
from streamproc.media.ebml import MatroskaError
from streamproc.threads import CLIENTS

_ANSWER_S = 30.0
"""Longest wait for the answer's head, and after the last fragment for its acknowledgement."""
PASSING = {4000, 4003, 5000, 5001}
"""ERROR acknowledgements after which Amazon's own producers send on in a new session: read error, end of the longest session (45 minutes), internal
error, error of its store."""
CROWDED = {"ClientLimitExceededException", "ConnectionLimitExceededException"}
"""Others are there now: another producer of this stream, or as many as the service takes."""
NOBODY = Credentials("anonymous", "anonymous")
"""Signs where nobody asks who it is: a node without access keys serves its own host alone."""


def absolute(data: bytes, begins_ms: int) -> bytes:
    """A recording's fragment with its first cluster at ``begins_ms`` of the epoch and all others as far behind it. Raises MatroskaError."""
    parts: list[bytes] = []
    shift: int | None = None
    at = 0
    while (head := ebml.read_head(data, at, len(data))) is not None:
        ident, size, content = head
        if ident == ebml.SEGMENT:
            parts.append(data[at:content])
            at = content
            continue
        end = content + size
        if ident != ebml.CLUSTER:
            parts.append(data[at:end])
        else:
            inner: list[bytes] = []
            begin = content
            for child, child_at, child_end in ebml.children(data, content, end):
                if child == ebml.TIMESTAMP:
                    told = ebml.unsigned(data, child_at, child_end)
                    shift = begins_ms - told if shift is None else shift
                    inner.append(ebml.element(ebml.TIMESTAMP, (told + shift).to_bytes(8, "big")))
                else:
                    inner.append(data[begin:child_end])
                begin = child_end
            parts.append(ebml.element(ebml.CLUSTER, b"".join(inner)))
        at = end
    if shift is None:
        raise MatroskaError("no cluster in it")
    return b"".join(parts)


class PutSession:
    """One PutMedia session with absolute timecodes. ``open``, ``send`` and ``close`` in one task; ``acks`` in another."""

    def __init__(self, stream: str, region: str, endpoint_url: str) -> None:
        self._stream = stream
        self._region = region
        self._url = endpoint_url.rstrip("/")
        self._place = Place(stream, region, self._url)
        self._stack = AsyncExitStack()
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(4)
        self._answer: aiohttp.ClientResponse | None = None

    async def open(self, first: bytes, *, create: bool = True) -> None:
        """Find the stream (made where it is missing) and begin with the first fragment: aiohttp sends no head before a body.

        Raises InputError where it is refused, SinkBusy where it is away.
        """
        await self.send(first)
        found = await CLIENTS.run(chain_credentials)
        keys = NOBODY if found is None else _credentials(found)
        try:
            endpoint = await self._endpoint(keys, create)
        except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
            said = source_error(error, self._place)
            raise (InputError if isinstance(said, SourceRefused) else SinkBusy)(str(said)) from None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        session = await self._stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        headers = self._signed(f"{endpoint}/putMedia", keys)
        try:
            async with asyncio.timeout(_ANSWER_S):
                self._answer = await session.post(f"{endpoint}/putMedia", headers=headers, data=self._body())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SinkBusy(f"{endpoint}: {str(error) or type(error).__name__}") from None
        if self._answer.status != 200:
            told = (await self._answer.text())[:300]
            kind = self._answer.headers.get("x-amzn-ErrorType", "").partition(":")[0]
            refusal = SinkBusy if kind in CROWDED else InputError
            raise refusal(f"{self._stream} {self._place}: PutMedia was refused ({self._answer.status}): {told}")

    async def send(self, fragment: bytes) -> None:
        """Waits while the connection takes no more."""
        await self._parts.put(fragment)

    async def acks(self) -> AsyncIterator[dict[str, Any]]:
        """The service's acknowledgements, to the answer's end.

        Raises SinkRejected for an ERROR about what was sent, SinkBusy for one that passes (``PASSING``) and for a lost connection.
        """
        assert self._answer is not None
        try:
            async for line in self._answer.content:
                if not line.strip():
                    continue
                ack: dict[str, Any] = json.loads(line)
                yield ack
                if ack.get("EventType") == "ERROR":
                    kind = SinkBusy if ack.get("ErrorId") in PASSING else SinkRejected
                    raise kind(f"{self._stream} {self._place}: {ack.get('ErrorId')} {ack.get('ErrorCode')}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SinkBusy(f"{self._stream} {self._place}: the connection is lost: {error}") from None

    async def finish(self) -> None:
        """No more fragments: the service then tells the last acknowledgements and ends its answer."""
        await self._parts.put(None)

    async def aclose(self) -> None:
        if self._answer is not None:
            self._answer.close()
        await self._stack.aclose()

    async def _body(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            yield part

    async def _endpoint(self, keys: Credentials, create: bool) -> str:
        config = AioConfig(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})
        made = await CLIENTS.run(open_client, "kinesisvideo", AwsAccess(), self._region, self._url, config, keys)
        async with made as client:
            try:
                found = await client.get_data_endpoint(StreamName=self._stream, APIName="PUT_MEDIA")
            except ClientError as error:
                if not create or code_of(error) != "ResourceNotFoundException":
                    raise
                await client.create_stream(StreamName=self._stream, MediaType="video/h264", DataRetentionInHours=24)
                found = await client.get_data_endpoint(StreamName=self._stream, APIName="PUT_MEDIA")
            return str(found["DataEndpoint"])

    def _signed(self, url: str, keys: Credentials) -> dict[str, str]:
        headers = {
            "x-amzn-stream-name": self._stream,
            "x-amzn-fragment-timecode-type": "ABSOLUTE",
            "x-amzn-fragment-acknowledgment-required": "1",
            "x-amzn-producer-start-timestamp": f"{datetime.now(UTC).timestamp():.3f}",
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        }
        request = AWSRequest("POST", url, headers=headers)
        SigV4Auth(keys, "kinesisvideo", self._region).add_auth(request)
        return dict(request.headers.items())


def _credentials(found: dict[str, str]) -> Credentials:
    return Credentials(found["access_key_id"], found["secret_access_key"], found.get("session_token"))

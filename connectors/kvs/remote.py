"""Streams of a Kinesis Video service over the network, read by GetMedia as this node's own are read in-process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import structlog
from aiobotocore.config import AioConfig
from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import open_client
from connectors.context import ConnectorContext
from connectors.kvs.chunk_reader import Chunk, ChunkFault, ChunkReader
from connectors.kvs.faults import STALE_ENDPOINT, Place, code_of, source_error
from connectors.kvs.settings import KvsSourceSettings
from streamproc.core.errors import InputError, SourceError, SourceRefused
from streamproc.core.video_log import FragmentInfo
from streamproc.logic.fragment_numbers import server_ms
from streamproc.media.ebml import MatroskaError

log = structlog.get_logger(__name__)

FLOOR_S = 0.25
"""Between two sessions: the service takes five calls of GetMedia a second and stream."""
SILENCE_S = 15.0
"""A session without a byte for so long is begun anew."""
_READ_BYTES = 65_536
_AHEAD = 2
"""Fragments that are read before they are asked for."""
_GONE = frozenset({"InvalidArgumentException"})
_GONE_IN_PAYLOAD = "4000"
"""The fragment to go on behind is not found."""
_OUTSIDE = (ClientError, BotoCoreError, HttpError, OSError, TimeoutError)


class RemoteReader:
    """See ``core.video_log.FragmentReader``. Has an event loop of its own, which runs only within ``next``; ``close`` it.

    A session that ends (the service ends each after 40 to 45 minutes, and when no media comes) is followed by the next, behind the last
    complete fragment; what was cut short comes again.
    """

    def __init__(
        self, settings: KvsSourceSettings, context: ConnectorContext, behind: Callable[[float], None] = lambda s: None
    ) -> None:
        """``behind`` is told how many seconds each fragment is behind the live edge."""
        self._settings = settings
        self._region = settings.region_or(context.region)
        url = settings.endpoint_url or context.endpoint_url
        self._url = url.rstrip("/") if url else None
        self._place = Place(settings.stream_name, self._region, self._url)
        self._behind = behind
        self._loop = asyncio.new_event_loop()
        self._fragments: asyncio.Queue[Chunk | SourceError] = asyncio.Queue(_AHEAD)
        self._pump: asyncio.Task[None] | None = None
        self._selector: Mapping[str, Any] = {"StartSelectorType": "NOW"}
        self._from_number = 0
        self._after = ""
        self._stack = AsyncExitStack()
        self._media: Any = None
        self._began: datetime | None = None
        self._opened_at = float("-inf")

    def has(self, stream: str) -> bool:
        """Asking is reading."""
        return True

    def begin(self, stream: str, start: str | Mapping[str, Any]) -> str | None:
        """Nothing is asked yet."""
        self._selector, self._from_number = _first_selector(start)
        return ""

    def next(self, stream: str, after: str, timeout_s: float) -> tuple[FragmentInfo, bytes] | None:
        """Raises SourceRefused where somebody has to act, SourceError where trying again may help."""
        if self._pump is None:
            self._after = after
            self._pump = self._loop.create_task(self._read_always())
        chunk = self._loop.run_until_complete(self._wait(timeout_s))
        if isinstance(chunk, SourceError):
            self._pump = None
            raise chunk
        return None if chunk is None else (chunk.info, chunk.data)

    def close(self) -> None:
        """Let go of the connection; blocks for up to a second."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(asyncio.wait([self._pump], timeout=1.0))
        self._loop.run_until_complete(self._leave())
        self._loop.close()

    async def _wait(self, timeout_s: float) -> Chunk | SourceError | None:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._fragments.get()
        except TimeoutError:
            return None

    async def _leave(self) -> None:
        with contextlib.suppress(TimeoutError, *_OUTSIDE):
            async with asyncio.timeout(1.0):
                await self._drop_client()

    # -- sessions, in the loop

    async def _read_always(self) -> None:
        try:
            while True:
                await asyncio.sleep(max(0.0, self._opened_at + FLOOR_S - time.monotonic()))
                self._opened_at = time.monotonic()
                await self._session()
        except (SourceError, InputError) as error:
            said = error if isinstance(error, SourceError) else SourceRefused(str(error))
            await self._fragments.put(said)
        except _OUTSIDE as error:
            if code_of(error) in STALE_ENDPOINT or not isinstance(error, ClientError):
                await self._drop_client()
            await self._fragments.put(source_error(error, self._place))
        except Exception as error:  # a loop's boundary: the reader's thread must hear of it
            log.exception("kvs_reader_broke", stream=self._settings.stream_name)
            await self._fragments.put(SourceError(f"{type(error).__name__}: {error}"))

    async def _session(self) -> None:
        client = await self._media_client()
        try:
            got = await client.get_media(**self._named(), StartSelector=dict(self._next_selector()))
        except ClientError as error:
            if not self._after or code_of(error) not in _GONE:
                raise
            self._give_up_place(code_of(error))
            return
        self._began = self._began or _date_of(got)
        async with got["Payload"] as body:
            await self._read(body)

    async def _media_client(self) -> Any:
        """Kept over sessions: making one reads the service's model."""
        if self._media is None:
            url = await self._ask_endpoint()
            self._media = await self._stack.enter_async_context(self._client("kinesis-video-media", url))
        return self._media

    async def _drop_client(self) -> None:
        self._media = None
        await self._stack.aclose()

    async def _ask_endpoint(self) -> str:
        async with self._client("kinesisvideo", self._url) as client:
            found = await client.get_data_endpoint(**self._named(), APIName="GET_MEDIA")
            return str(found["DataEndpoint"])

    async def _read(self, body: Any) -> None:
        """One payload to its end, whatever ends it."""
        chunks = ChunkReader(self._settings.max_fragment_bytes)
        try:
            while part := await body.read(_READ_BYTES):
                for chunk in chunks.feed(part):
                    await self._deliver(chunk)
        except MatroskaError as error:
            raise SourceError(f"{self._place.stream} {self._place}: what it sends is no Matroska: {error}") from None
        except (BotoCoreError, HttpError, OSError, TimeoutError) as error:
            log.info("kvs_session_cut", stream=self._place.stream, reason=str(error) or type(error).__name__)
            return
        try:
            chunks.end()
        except ChunkFault as fault:
            if fault.code != _GONE_IN_PAYLOAD or not self._after:
                raise SourceError(f"{self._place.stream} {self._place}: {fault}") from None
            self._give_up_place(str(fault))

    async def _deliver(self, chunk: Chunk) -> None:
        number = int(chunk.info.number)
        if number < self._from_number or (self._after and number <= int(self._after)):
            return
        if chunk.behind_ms is not None:
            self._behind(chunk.behind_ms / 1000)
        await self._fragments.put(chunk)
        self._after = chunk.info.number

    # -- what is asked for

    def _named(self) -> dict[str, str]:
        return {"StreamARN" if self._settings.stream.startswith("arn:") else "StreamName": self._settings.stream}

    def _client(self, service: str, url: str | None) -> Any:
        config = AioConfig(connect_timeout=5, read_timeout=SILENCE_S, retries={"total_max_attempts": 1})
        return open_client(service, self._settings, self._region, url, config)

    def _next_selector(self) -> Mapping[str, Any]:
        if self._after:
            return {"StartSelectorType": "FRAGMENT_NUMBER", "AfterFragmentNumber": self._after}
        if self._selector["StartSelectorType"] == "NOW" and self._began is not None:
            # Nothing came in the first session: what comes between two of them counts as well.
            return {"StartSelectorType": "SERVER_TIMESTAMP", "StartTimestamp": self._began}
        return self._selector

    def _give_up_place(self, why: str) -> None:
        """The fragment to go on behind is older than what the service keeps: take what there is. The hole in time is then a gap."""
        log.warning("kvs_place_is_gone", stream=self._place.stream, after=self._after, reason=why)
        self._from_number, self._after = int(self._after) + 1, ""
        self._selector = {"StartSelectorType": "EARLIEST"}


def _first_selector(start: str | Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """(StartSelector, number below which fragments are passed over) of a ``start`` of ``FragmentReader.begin``."""
    if isinstance(start, str):
        return {"StartSelectorType": "EARLIEST" if start == "earliest" else "NOW"}, 0
    if "timestamp" in start:
        at = datetime.fromtimestamp(float(start["timestamp"]), UTC)
        return {"StartSelectorType": "PRODUCER_TIMESTAMP", "StartTimestamp": at}, 0
    number = str(start["fragment"])
    at_ms = server_ms(number)
    if at_ms:  # FRAGMENT_NUMBER means the one after it; numbers hold the server's time
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        return {"StartSelectorType": "SERVER_TIMESTAMP", "StartTimestamp": at}, int(number)
    before = str(int(number) - 1).zfill(len(number))
    return {"StartSelectorType": "FRAGMENT_NUMBER", "AfterFragmentNumber": before}, int(number)


def _date_of(answer: Mapping[str, Any]) -> datetime:
    """The service's clock, by its Date header; ours where it has none."""
    try:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return datetime.now(UTC)

"""Fragments as messages of a Kafka topic, the format that ``source: {type: kafka}`` reads; the index of them is this node's own.

Nodes that share the topic each follow it, so that the index of each holds what the others store.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog

from connectors.kafka.fragment_topic import FragmentTopic
from connectors.kafka.log import Record
from streamproc.core.errors import SinkBusy, SinkRejected, SourceError
from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.index import FragmentIndex
from streamproc.kinesis.measure import measure
from streamproc.kinesis.store import Entry, FragmentGone, FragmentTooLarge, NewFragment, StoreAway
from streamproc.logic import fragment_numbers as numbers
from streamproc.logic.fragments import SESSION_HEADER
from streamproc.media.ebml import MatroskaError
from streamproc.threads import FRAGMENTS
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

CACHE_BYTES = 32 * 10**6
"""Fragments that were written or fetched a moment ago: live readers all want the same ones."""
_NUMBER_DIGITS = 47
_BATCH = 100
_AGAIN_S = 2.0
_NEWS_S = 10.0
"""A fragment that is older says nothing of producers that send now."""


class KafkaFragments:
    """See ``store.FragmentStore``. A fragment is durable when all in-sync replicas have it; the index can be made again from the topic."""

    def __init__(
        self,
        topic: FragmentTopic,
        index: FragmentIndex,
        *,
        retention_ms: Callable[[str], int],
        max_fragment_bytes: int,
    ) -> None:
        self.max_fragment_bytes = min(max_fragment_bytes, topic.max_fragment_bytes)
        self._topic = topic
        self._index = index
        self._retention_ms = retention_ms
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached = 0
        self._starting = asyncio.Lock()
        self._started = False
        self._since_ms: Callable[[str], int] | None = None
        self._heard: Callable[[str, str], None] = lambda stream, number: None
        self.producers: list[Callable[[str, str], None]] = []
        """Called in the event loop with stream and producer's session of each fragment that comes to the topic, this node's among them."""
        self._following: asyncio.Task[None] | None = None

    def follow_others(self, since_ms: Callable[[str], int], heard: Callable[[str, str], None]) -> None:
        """Other nodes write the topic too. What is older than ``since_ms`` belongs to a stream of the same name that was deleted. ``heard`` is called in
        the event loop with stream and number of what has come. Before ``open``."""
        self._since_ms, self._heard = since_ms, heard

    async def open(self) -> None:
        if self._since_ms is not None:
            self._following = asyncio.create_task(self._follow_always(), name="fragments of other nodes")
            return
        try:
            await self._ready()
        except StoreAway as error:
            log.warning("fragment_store_away", reason=str(error))

    async def append(self, stream: str, fragment: NewFragment) -> None:
        info = fragment.info
        if info.size > self.max_fragment_bytes:
            raise FragmentTooLarge(f"a fragment of {info.size} bytes; the limit is {self.max_fragment_bytes}")
        await self._ready()
        try:
            partition, offset = await self._topic.append(
                stream,
                fragment.data,
                number=info.number,
                producer_ms=info.producer_ms,
                server_ms=info.server_ms,
                session=fragment.session,
            )
        except SinkBusy as error:
            raise StoreAway(str(error)) from None
        except SinkRejected as error:
            raise FragmentTooLarge(str(error)) from None
        place = f"{partition}:{offset}"
        self._keep(place, fragment.data)
        await FRAGMENTS.run(self._index.add, [Entry(stream, info, fragment.digest, place)])
        if self._since_ms is None:  # else what others wrote before it may not have come yet
            self._note(partition, offset + 1)

    async def read(self, entry: Entry) -> bytes:
        if entry.place in self._cache:
            self._cache.move_to_end(entry.place)
            return self._cache[entry.place]
        await self._ready()
        partition, offset = (int(part) for part in entry.place.split(":"))
        try:
            records = await self._topic.read(partition, offset)
        except SourceError as error:
            raise StoreAway(str(error)) from None
        for record in reversed(records):
            self._keep(f"{partition}:{record.offset}", record.value or b"")
        if not records or not records[0].value:
            raise FragmentGone(f"The fragment {entry.info.number} is no longer there.")
        return records[0].value

    async def prune(self, now_ms: int) -> int:
        """The topic removes messages by its own rules; their rows go with them, and those that are too old for us."""
        removed = 0
        for stream in await FRAGMENTS.run(self._index.streams):
            oldest = now_ms - self._retention_ms(stream)
            if self._since_ms is not None:
                oldest = max(oldest, self._since_ms(stream))
            while old := self._index.older_than(stream, oldest, _BATCH):
                await self.remove(old)
                removed += len(old)
        return removed

    async def remove(self, entries: Sequence[Entry]) -> None:
        await FRAGMENTS.run(self._index.remove, entries)

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._topic.stop()

    async def _ready(self) -> None:
        """Connected, and the index knows every message that was written before. Raises StoreAway."""
        async with self._starting:
            if self._started:
                return
            try:
                await self._topic.start()
                if self._since_ms is None:
                    await self._catch_up()
            except (SinkBusy, SourceError) as error:
                await self._topic.stop()
                raise StoreAway(str(error)) from None
            self._started = True

    async def _catch_up(self) -> None:
        """Index what the topic holds and no row tells: the process was killed between the two, or the index is new."""
        for partition, (begin, end) in (await self._topic.bounds()).items():
            offset = self._indexed(partition, begin, end)
            while offset < end:
                records = await self._topic.read(partition, offset)
                entries = [entry for record in records if (entry := _entry(record)) is not None]
                await FRAGMENTS.run(self._index.add, entries)
                offset = records[-1].offset + 1 if records else offset + 1
            self._note(partition, end)

    async def _follow_always(self) -> None:
        trouble = Trouble("fragments_of_others_wait", "fragments_of_others_come")
        while True:
            try:
                await self._ready()
                bounds = await self._topic.bounds()
                offsets = {partition: self._indexed(partition, *ends) for partition, ends in bounds.items()}
                async for records in self._topic.follow(offsets):
                    trouble.over()
                    if records:
                        await self._take(records)
            except (StoreAway, SourceError) as error:
                trouble.met(error)
            except Exception as error:  # noqa: BLE001 - the task's boundary: a full disk must not end it for good
                trouble.met(repr(error), bug=error)
            await asyncio.sleep(_AGAIN_S)

    async def _take(self, records: Sequence[Record]) -> None:
        entries = await FRAGMENTS.run(lambda: [entry for record in records if (entry := _entry(record)) is not None])
        await FRAGMENTS.run(self._index.add, entries)
        for partition, offset in {record.partition: record.offset for record in records}.items():
            await FRAGMENTS.run(self._note, partition, offset + 1)
        for record in records:
            self._keep(f"{record.partition}:{record.offset}", record.value or b"")
            self._say_producer(record)
        for entry in entries:
            self._heard(entry.stream, entry.info.number)

    def _say_producer(self, record: Record) -> None:
        session = record.headers.get(SESSION_HEADER, b"").decode("ascii", "replace")
        if session and record.key and time.time() - record.server.timestamp() < _NEWS_S:
            for each in self.producers:
                each(record.key.decode("utf-8", "replace"), session)

    def _indexed(self, partition: int, begin: int, end: int) -> int:
        """The offset from which on the index does not know what the topic holds."""
        offset = max(begin, int(self._index.database.get(self._fact(partition)) or 0))
        return offset if offset <= end else begin  # the topic was made anew

    def _note(self, partition: int, offset: int) -> None:
        self._index.database.put(self._fact(partition), str(offset))

    def _fact(self, partition: int) -> str:
        return f"indexed {self._topic.name} {partition}"

    def _keep(self, place: str, data: bytes) -> None:
        if len(data) > CACHE_BYTES // 2 or place in self._cache:
            return
        self._cache[place] = data
        self._cached += len(data)
        while self._cached > CACHE_BYTES:
            self._cached -= len(self._cache.popitem(last=False)[1])


def _entry(record: Record) -> Entry | None:
    """The row of a message; None of one that is no fragment of this kind (other tools number by offsets, or write other containers)."""
    if not record.key or not record.value or len(record.number) != _NUMBER_DIGITS:
        return None
    try:
        duration_ms, body = measure(record.value)
    except MatroskaError:
        return None
    info = FragmentInfo(
        record.number,
        round(record.producer.timestamp() * 1000),
        numbers.server_ms(record.number),
        duration_ms,
        len(record.value),
    )
    digest = hashlib.blake2b(body, digest_size=16).digest()
    return Entry(record.key.decode("utf-8", "replace"), info, digest, f"{record.partition}:{record.offset}")

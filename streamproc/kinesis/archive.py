"""The archive: which fragments there are, and fragments by number, as a clip or as pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from streamproc.core.errors import InputError, NotFound
from streamproc.kinesis.chunks import chunk, missing_chunk
from streamproc.kinesis.clip import clip_bytes
from streamproc.kinesis.control import find_stream, make_token, read_token
from streamproc.kinesis.images import ImageRequest, image_at, instants
from streamproc.kinesis.index import Clock
from streamproc.kinesis.log import VideoLog
from streamproc.kinesis.store import Entry
from streamproc.kinesis.wire import Call
from streamproc.threads import ARCHIVE

CLIP_BYTES, CLIP_FRAGMENTS, CLIP_MS = 100_000_000, 200, 24 * 3_600_000
"""The service's limits of GetClip."""
IMAGES_MS = 300_000
"""The service's longest range of GetImages."""
_READ_S = 30.0
_PAGE = 100
_FOREVER_MS = 2**53


class ArchiveOperations:
    """One method an operation."""

    def __init__(self, video: VideoLog) -> None:
        self._video = video
        self._working = asyncio.Semaphore(2)

    async def list_fragments(self, call: Call) -> dict[str, Any]:
        stream = await find_stream(self._video, call)
        clock, begin, end = _range(call.input.get("FragmentSelector"), "FragmentSelectorType")
        size = call.input.get("MaxResults", _PAGE)
        token = call.input.get("NextToken")
        found = await ARCHIVE.run(
            lambda: self._video.index.between(
                stream.name, clock, begin, end, after=read_token(token) if token else "", limit=size + 1
            )
        )
        page = found[:size]
        return {
            "Fragments": [_described(entry) for entry in page],
            "NextToken": make_token(page[-1].info.number) if len(found) > size else None,
        }

    async def fragment_list(self, call: Call) -> AsyncIterator[bytes]:
        """Chunks of GetMediaForFragmentList, in the order asked for."""
        stream = await find_stream(self._video, call)
        return self._chunks(stream.name, call.input["Fragments"])

    async def _chunks(self, stream: str, numbers: Sequence[str]) -> AsyncIterator[bytes]:
        for number in numbers:
            entry = await ARCHIVE.run(self._video.index.get, stream, number)
            data = await self._read(entry) if entry is not None else None
            yield missing_chunk(number) if entry is None or data is None else chunk(entry.info, data, None)

    async def clip(self, call: Call) -> bytes:
        """An MP4 of GetClip. Raises NotFound where there is nothing in the range."""
        stream = await find_stream(self._video, call)
        selector = call.input["ClipFragmentSelector"]
        clock, begin, end = _range(selector, "FragmentSelectorType")
        if end - begin > CLIP_MS:
            raise InputError("A clip's EndTimestamp is at most 24 hours after its StartTimestamp.")
        entries = await ARCHIVE.run(
            lambda: self._video.index.between(stream.name, clock, begin, end, limit=CLIP_FRAGMENTS)
        )
        chosen = _within(_without_repetitions(entries), CLIP_BYTES)
        async with self._working:
            with self._video.index.holding(chosen):
                read = [(entry.info, await self._read(entry)) for entry in chosen]
                parts = [(info, data) for info, data in read if data is not None]
            if not parts:
                raise NotFound("No fragments found in the stream for the given selectors.")
            return await ARCHIVE.run(clip_bytes, parts)

    async def images(self, call: Call) -> dict[str, Any]:
        stream = await find_stream(self._video, call)
        request = ImageRequest.of(call.input)
        if request.end_ms - request.begin_ms > IMAGES_MS:
            raise InputError("EndTimestamp is at most 300 seconds after StartTimestamp.")
        token = call.input.get("NextToken")
        if token and not read_token(token).isdigit():
            raise InputError("NextToken was not given by this endpoint.")
        first = int(read_token(token)) if token else 0
        wanted = instants(request)
        page = wanted[first : first + request.most]
        async with self._working:
            images = [await self._image(stream.name, request, at_ms) for at_ms in page]
        done = first + len(page)
        return {"Images": images, "NextToken": make_token(str(done)) if done < len(wanted) else None}

    async def _image(self, stream: str, request: ImageRequest, at_ms: int) -> dict[str, Any]:
        entry = await ARCHIVE.run(self._video.index.containing, stream, request.clock, at_ms)
        begin = 0 if entry is None else getattr(entry.info, request.clock)
        data = await self._read(entry) if entry is not None and begin <= at_ms else None
        if entry is None or data is None:
            return {"TimeStamp": at_ms / 1000, "Error": "NO_MEDIA"}
        content = await ARCHIVE.run(image_at, data, at_ms - begin, request)
        if content is None:
            return {"TimeStamp": at_ms / 1000, "Error": "MEDIA_ERROR"}
        return {"TimeStamp": at_ms / 1000, "ImageContent": content}

    async def _read(self, entry: Entry) -> bytes | None:
        return await self._video.read(entry, time.monotonic() + _READ_S)


def _range(selector: Mapping[str, Any] | None, kind: str) -> tuple[Clock, int, int]:
    """(clock, first, last) in milliseconds; everything where there is no selector. Raises InputError."""
    if selector is None:
        return "server_ms", 0, _FOREVER_MS
    span = selector["TimestampRange"]
    begin, end = (round(span[name] * 1000) for name in ("StartTimestamp", "EndTimestamp"))
    if end < begin:
        raise InputError("EndTimestamp lies before StartTimestamp.")
    return ("producer_ms" if selector[kind] == "PRODUCER_TIMESTAMP" else "server_ms"), begin, end


def _described(entry: Entry) -> dict[str, Any]:
    info = entry.info
    return {
        "FragmentNumber": info.number,
        "FragmentSizeInBytes": info.size,
        "ProducerTimestamp": info.producer_ms / 1000,
        "ServerTimestamp": info.server_ms / 1000,
        "FragmentLengthInMilliseconds": info.duration_ms,
    }


def _without_repetitions(entries: Sequence[Entry]) -> list[Entry]:
    """By producer time; of several with the same the oldest."""
    first: dict[int, Entry] = {}
    for entry in entries:
        first.setdefault(entry.info.producer_ms, entry)
    return [first[at] for at in sorted(first)]


def _within(entries: Sequence[Entry], most: int) -> list[Entry]:
    chosen: list[Entry] = []
    for entry in entries:
        most -= entry.info.size
        if most < 0:
            break
        chosen.append(entry)
    return chosen

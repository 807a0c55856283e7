"""GetMedia: the fragments of a stream, one behind the other, as they are durable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from streamproc.core.errors import InputError
from streamproc.kinesis.chunks import chunk
from streamproc.kinesis.log import VideoLog, now_ms
from streamproc.kinesis.store import Entry, StoreAway
from streamproc.media.ebml import MatroskaError
from streamproc.threads import FRAGMENTS

WAIT_S = 1.0
"""Between two looks at whether the reader is still there."""


def start_after(video: VideoLog, stream: str, selector: Mapping[str, Any]) -> str:
    """The number after which to read for a StartSelector. Raises InputError where a member is missing."""
    kind = selector["StartSelectorType"]
    if kind == "EARLIEST":
        return ""
    if kind == "NOW":
        return video.after_latest_but_one(stream)
    if kind == "FRAGMENT_NUMBER":
        return str(_member(selector, "AfterFragmentNumber", kind))
    if kind == "CONTINUATION_TOKEN":
        token = str(_member(selector, "ContinuationToken", kind))
        if not token.isdigit():
            raise InputError("ContinuationToken was not given by this stream.")
        return token
    at_ms = round(float(_member(selector, "StartTimestamp", kind)) * 1000)
    clock = "producer_ms" if kind == "PRODUCER_TIMESTAMP" else "server_ms"
    return video.after_instant(stream, "producer_ms" if clock == "producer_ms" else "server_ms", at_ms)


async def chunks(video: VideoLog, stream: str, after: str) -> AsyncIterator[bytes]:
    """Chunks without end; b"" now and then while none comes. Ends when the stream is deleted."""
    while True:
        try:
            found = await video.next(stream, after, WAIT_S)
        except StoreAway:
            found = None
        if found is None:
            if await FRAGMENTS.run(video.streams.find, stream) is None:
                return
            yield b""
            continue
        entry, data = found
        after = entry.info.number
        try:
            yield chunk(entry.info, data, _behind_ms(video, entry))
        except MatroskaError:
            continue  # a message of somebody else's in a shared topic


def _behind_ms(video: VideoLog, entry: Entry) -> int:
    last = video.index.last(entry.stream)
    if last is None or last.info.number <= entry.info.number:
        return 0
    return max(0, now_ms() - entry.info.server_ms)


def _member(selector: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in selector:
        raise InputError(f"StartSelector of type {kind} needs {name}.")
    return selector[name]

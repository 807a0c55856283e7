"""Chunks as GetMedia answers them: a fragment with the service's tags before and behind its cluster. Pure."""

from __future__ import annotations

from streamproc.core.video_log import FragmentInfo
from streamproc.media import ebml
from streamproc.media.ebml import MatroskaError

_PREFIX = "AWS_KINESISVIDEO_"
CONTENT_TYPE = "video/webm"
"""What the service says of its chunks."""


def body_at(data: bytes) -> int:
    """Where the first cluster of a stored fragment begins. Raises MatroskaError."""
    at = 0
    while (head := ebml.read_head(data, at, len(data))) is not None:
        ident, size, content = head
        if ident == ebml.CLUSTER:
            return at
        at = content if ident == ebml.SEGMENT else content + max(size, 0)
    raise MatroskaError("no cluster in it")


def opening_tags(info: FragmentInfo) -> bytes:
    """Number and times; they stand before the cluster."""
    return ebml.tags(
        [
            (f"{_PREFIX}FRAGMENT_NUMBER", info.number),
            (f"{_PREFIX}SERVER_TIMESTAMP", _seconds(info.server_ms)),
            (f"{_PREFIX}PRODUCER_TIMESTAMP", _seconds(info.producer_ms)),
        ]
    )


def closing_tags(info: FragmentInfo, behind_ms: int) -> bytes:
    """How far behind the live edge the reader is, and where to go on; a chunk is complete with them."""
    return ebml.tags([(f"{_PREFIX}MILLIS_BEHIND_NOW", str(behind_ms)), (f"{_PREFIX}CONTINUATION_TOKEN", info.number)])


def chunk(info: FragmentInfo, data: bytes, behind_ms: int | None) -> bytes:
    """``behind_ms`` None: without the closing tags, as GetMediaForFragmentList answers."""
    at = body_at(data)
    end = b"" if behind_ms is None else closing_tags(info, behind_ms)
    return b"".join((data[:at], opening_tags(info), data[at:], end))


def missing_chunk(number: str) -> bytes:
    """What GetMediaForFragmentList says of a fragment that is gone."""
    head = ebml.element(
        ebml.EBML, bytes.fromhex("42868101 42F78101 42F28104 42F38108 4282886D6174726F736B61".replace(" ", ""))
    )
    said = [
        (f"{_PREFIX}FRAGMENT_NUMBER", number),
        (f"{_PREFIX}EXCEPTION_ERROR_CODE", "4000"),
        (f"{_PREFIX}EXCEPTION_MESSAGE", "The fragment is not found; it may be older than the retention."),
    ]
    return head + ebml.UNKNOWN_SEGMENT + ebml.tags(said)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"

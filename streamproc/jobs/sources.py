"""Where stored videos come from: files, S3-compatible stores and web servers. Remote ones are read by byte ranges, never fetched whole."""

from __future__ import annotations

import io
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from streamproc.core.errors import InputError, SourceError
from streamproc.jobs.model import VideoRef
from streamproc.jobs.video import StoredVideo
from streamproc.jobs.web_object import HttpObject
from streamproc.logic.redact import redact, redact_url

log = structlog.get_logger(__name__)

BLOCK = 2 * 1024 * 1024
_KEPT = 6
GONE = "The video could not be read to its end: the object is gone or its store cannot be reached."
NO_OBJECT = "Unable to get object metadata from S3. Check object key, region and/or access permissions."
"""The service's words."""


class InvalidObject(InputError):
    """There is no such video, or it may not be read."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What is known of a video before it is opened."""

    size: int
    version: str
    """Changes when the bytes change: an etag, or size and time."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The node's own S3, for URLs that name none."""

    endpoint_url: str | None = None
    region: str = "us-east-1"


class Videos:
    """Opens stored videos by reference."""

    def __init__(self, settings: StoreSettings | None = None, *, threads: int = 2) -> None:
        self._settings = settings or StoreSettings()
        self._threads = threads

    def facts(self, ref: VideoRef) -> ObjectFacts:
        """Raises InvalidObject where the video cannot be had."""
        if not is_remote(ref.url):
            path = Path(ref.url)
            try:
                if not path.is_file():
                    raise InvalidObject(f"{ref.url}: no such file")
                with path.open("rb"):
                    found = path.stat()
            except OSError as error:
                raise InvalidObject(f"{ref.url}: {error.strerror}") from None
            return ObjectFacts(found.st_size, f"{found.st_size}-{found.st_mtime_ns}")
        found_there = self._remote_file(ref).source
        return ObjectFacts(found_there.size, found_there.version)

    def open(self, ref: VideoRef, reading: AbstractContextManager[None] | None = None) -> StoredVideo:
        """Raises MediaError where it cannot be decoded, InvalidObject where it cannot be had.

        ``reading``: entered around this call and every one of the video that waits for its store.
        """
        reading = reading or nullcontext()
        with reading:
            return self._open(ref, reading)

    def _open(self, ref: VideoRef, reading: AbstractContextManager[None]) -> StoredVideo:
        if not is_remote(ref.url):
            self.facts(ref)
            return StoredVideo(str(Path(ref.url)), ref.url, threads=self._threads, reading=reading)
        file = self._remote_file(ref)
        try:
            return StoredVideo(file, redact_url(ref.url), threads=self._threads, check=file.check, reading=reading)
        except Exception:
            # What the demuxer made of a failed read says nothing; the read's own failure does.
            file.check()
            raise

    def _remote_file(self, ref: VideoRef) -> RangeFile:
        try:
            return RangeFile(self._object(ref))
        except InputError as error:  # a secret of the bucket's binding: nothing that the caller may know or can fix
            log.error("store_credentials_missing", url=redact_url(ref.url), reason=str(error))
            raise InvalidObject(NO_OBJECT) from None
        except (OSError, ValueError) as error:
            raise InvalidObject(_reason(ref, error)) from None

    def _object(self, ref: VideoRef) -> RemoteObject:
        """Raises OSError or ValueError where it cannot be had."""
        from connectors.chain import chain_endpoint
        from connectors.s3.objects import S3Object

        if not ref.url.lower().startswith("s3://"):
            return HttpObject(ref.url)
        endpoint = ref.store.get("endpoint_url") or self._settings.endpoint_url or chain_endpoint("s3")
        options = {**ref.store, "region": ref.store.get("region") or self._settings.region}
        # Not by URL rules: a key may hold ? and #, and begin with a slash.
        bucket, _, key = ref.url[len("s3://") :].partition("/")
        return S3Object(bucket, key, options | ({"endpoint_url": endpoint} if endpoint else {}), ref.version)


class RemoteObject(Protocol):
    """A video in a store or on a web server. Synchronous; errors are OSError."""

    size: int
    version: str
    """Changes when the bytes change."""

    def read(self, start: int, end: int) -> bytes:
        """Bytes from ``start`` up to ``end``, of the object as it was when it was opened."""
        ...


class RangeFile(io.RawIOBase):
    """A remote object as a seekable file: blocks are fetched by range when they are read and a few are kept."""

    def __init__(self, source: RemoteObject) -> None:
        self.source = source
        self._size = source.size
        self._at = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = self._size - self._at
        if size <= 0 or self._at >= self._size:
            return b""
        block = self._block(self._at // BLOCK)
        start = self._at % BLOCK
        data = block[start : start + size]
        self._at += len(data)
        return data

    def check(self) -> None:
        """Raises SourceError if a read failed: FFmpeg takes a failed read for the end of the file."""
        if self._failure is not None:
            raise SourceError(GONE) from self._failure

    def _block(self, number: int) -> bytes:
        known = self._blocks.get(number)
        if known is not None:
            self._blocks.move_to_end(number)
            return known
        start = number * BLOCK
        try:
            data = self.source.read(start, min(self._size, start + BLOCK))
        except (OSError, ValueError) as error:
            # Remembered, because FFmpeg takes it for the end of the file.
            self._failure = error
            raise OSError("the video cannot be read any further") from None
        self._blocks[number] = data
        if len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return data


def folder_of(ref: VideoRef) -> str:
    """What holds the video: a folder of this host, or a store."""
    if not is_remote(ref.url):
        return str(Path(ref.url).parent)
    parts = urlsplit(ref.url)
    return f"{parts.scheme}://{parts.hostname}"


def is_remote(url: str) -> bool:
    """Whether a video is in a store or on a web server: else it is a file of this host."""
    # Not by URL rules: ``s3:23.mp4`` is a file.
    return url.lower().startswith(("s3://", "http://", "https://"))


def _reason(ref: VideoRef, error: BaseException) -> str:
    if ref.url.startswith("s3:"):
        return NO_OBJECT
    words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return f"{redact_url(ref.url)}: {redact(words)}"

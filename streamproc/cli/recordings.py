"""Where a command finds recorded video: a running daemon, else the store of a data directory."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from streamproc.cli.control import DEFAULT_URL, ask, call
from streamproc.cli.places import default_data_dir
from streamproc.config.folder import NODE_FILE
from streamproc.config.load import load_node
from streamproc.core.errors import InputError, NotFound, StreamprocError
from streamproc.core.video_log import FragmentInfo
from streamproc.logic.clips import ClipRange

if TYPE_CHECKING:
    from streamproc.kinesis.offline import StoredStreams
    from streamproc.kinesis.setup import video_settings


class Recordings(Protocol):
    """Streams and their fragments. Every method raises NotFound for a stream that is not there."""

    def documents(self) -> list[dict[str, Any]]: ...

    def document(self, name: str) -> dict[str, Any]: ...

    def fragments(self, name: str, begins_ms: int, ends_ms: int) -> list[dict[str, Any]]: ...

    def read(self, name: str, info: FragmentInfo) -> bytes: ...

    def delete(self, name: str) -> None: ...


class OfDaemon:
    """By the control API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def documents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(self._url, "GET", "/api/streams")
        return found

    def document(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = call(self._url, "GET", _path(name))
        return found

    def fragments(self, name: str, begins_ms: int, ends_ms: int) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({"from": begins_ms / 1000, "to": ends_ms / 1000})
        found: list[dict[str, Any]] = call(self._url, "GET", f"{_path(name)}/fragments?{asked}")
        return found

    def read(self, name: str, info: FragmentInfo) -> bytes:
        return ask(self._url, "GET", f"{_path(name)}/fragments/{info.number}")

    def delete(self, name: str) -> None:
        call(self._url, "DELETE", _path(name), {})


class OfStore:
    """By the files."""

    def __init__(self, store: StoredStreams) -> None:
        self._store = store
        self.documents = store.documents
        self.document = store.document
        self.fragments = store.fragments
        self.read = store.read

    def delete(self, name: str) -> None:
        from streamproc.server.lock import DirectoryLock

        self._store.delete(name, DirectoryLock)


def open_recordings(url: str | None, data_dir: Path | None, config_dir: Path | None = None) -> Recordings:
    """The daemon at ``url`` (or STREAMPROC_URL, or where daemons listen by default) where one answers, else the store.

    A ``data_dir`` without a URL is the store. Raises InputError, StreamprocError.
    """
    url = url or os.environ.get("STREAMPROC_URL")
    if url is not None or data_dir is None:
        daemon = OfDaemon(url or DEFAULT_URL)
        try:
            daemon.documents()
        except StreamprocError as error:
            away = not isinstance(error, InputError | NotFound)
            if not away or (url is not None and data_dir is None):
                raise
        else:
            return daemon
    from streamproc.kinesis.offline import StoredStreams

    node = load_node(config_dir / NODE_FILE) if config_dir is not None else None
    settings = video_settings(node) if node is not None else None
    folder = data_dir or (node.stores.data_dir if node is not None else None) or default_data_dir()
    return OfStore(StoredStreams(folder, settings, config_dir or Path()))


def fragments_of(recordings: Recordings, clip: ClipRange) -> list[FragmentInfo]:
    """Fragments that hold something of the clip. Raises InputError where there are none."""
    from streamproc.kinesis.catalog import fragment_of

    try:
        found = recordings.fragments(clip.stream, clip.begins_ms, clip.ends_ms)
        if not found:
            raise InputError(f"{clip.stream} has no video of that time; it has {_span(recordings, clip.stream)}")
    except NotFound as error:
        raise InputError(str(error)) from None
    return [fragment_of(document) for document in found]


def parts_of(recordings: Recordings, stream: str, infos: list[FragmentInfo]) -> Iterator[tuple[FragmentInfo, bytes]]:
    """The fragments, one after the other; those that were removed meanwhile are left out."""
    for info in infos:
        try:
            yield info, recordings.read(stream, info)
        except NotFound:
            continue


def write_mp4(recordings: Recordings, clip: ClipRange, target: Path) -> dict[str, Any]:
    """The clip's fragments as one MP4, packets as they came; says what is in it. Raises InputError."""
    from streamproc.aws_protocol.faults import AwsFault
    from streamproc.kinesis.catalog import instant
    from streamproc.kinesis.clip import write_clip

    infos = fragments_of(recordings, clip)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as file:
            write_clip(parts_of(recordings, clip.stream, infos), file)
        partial.replace(target)
    except OSError as error:
        raise InputError(f"{target}: {error.strerror}; name a file that can be written") from None
    except AwsFault as error:
        raise StreamprocError(f"{clip.stream}: {error}") from None
    finally:
        partial.unlink(missing_ok=True)
    first, last = infos[0], infos[-1]
    return {
        "stream": clip.stream,
        "file": str(target),
        "bytes": target.stat().st_size,
        "from": instant(first.producer_ms),
        "to": instant(last.producer_ms + last.duration_ms),
        "fragments": len(infos),
    }


def _span(recordings: Recordings, name: str) -> str:
    document = recordings.document(name)
    return f"{document['from']} to {document['to']}" if document["from"] else "none at all"


def _path(name: str) -> str:
    return "/api/streams/" + urllib.parse.quote(name, safe="")


def as_json(value: Any) -> str:
    """Indented, for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)

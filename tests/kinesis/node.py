"""The daemon with Kinesis Video, and boto3's clients for it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from streamproc.media.matroska import Cutter
from streamproc.media.matroska_events import ClusterEnd, Header, TagsRead
from tests.daemon import Daemon
from tests.kinesis.sender import ACCESS_KEY, REGION, SECRET

KEY = {"access_key_id": ACCESS_KEY, "secret_access_key_env": "KVS_SECRET"}
ENVIRON = {"KVS_SECRET": SECRET}


def node(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    keys: bool = True,
    server: Mapping[str, Any] | None = None,
    **options: Any,
) -> Daemon:
    """Not started. ``settings``: of ``kinesis_video``."""
    daemon = Daemon(folder, ENVIRON, **options)
    document: dict[str, Any] = {"kinesis_video": dict(settings or {}), "server": dict(server or {})}
    if keys:
        document["server"]["credentials"] = [KEY]
    (daemon.config / "streamproc.yaml").write_text(json.dumps(document))
    return daemon


def client(url: str, service: str = "kinesisvideo", **options: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET,
        config=Config(read_timeout=20, retries={"max_attempts": 1}),
        **options,
    )


class Chunk:
    """One chunk of GetMedia."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.clusters: list[ClusterEnd] = []
        self.tags: dict[str, str] = {}

    @property
    def number(self) -> str:
        return self.tags["AWS_KINESISVIDEO_FRAGMENT_NUMBER"]


def get_media(url: str, stream: str, selector: Mapping[str, Any], count: int, timeout: float = 30) -> list[Chunk]:
    """The first ``count`` chunks by boto3's GetMedia."""
    payload = client(url, "kinesis-video-media").get_media(StreamName=stream, StartSelector=selector)["Payload"]
    cutter, found = Cutter(), list[Chunk]()
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for event in cutter.feed(payload._raw_stream.read1(65536)):
            if isinstance(event, Header):
                found.append(Chunk(event))
                found[-1].tags |= header_tags(event.data)
            elif isinstance(event, ClusterEnd):
                found[-1].clusters.append(event)
            elif isinstance(event, TagsRead):
                found[-1].tags |= dict(event.pairs)
        if len([chunk for chunk in found if "AWS_KINESISVIDEO_CONTINUATION_TOKEN" in chunk.tags]) >= count:
            payload.close()
            return found[:count]
    raise AssertionError(f"only {len(found)} chunks in {timeout} s")


def header_tags(header: bytes) -> dict[str, str]:
    """The service's tags before the cluster."""
    from streamproc.media import ebml

    found: dict[str, str] = {}
    at = 0
    while (head := ebml.read_head(header, at, len(header))) is not None:
        ident, size, content = head
        if ident == ebml.TAGS:
            found |= dict(ebml.read_tags(header, content, content + size))
        at = content if ident == ebml.SEGMENT else content + size
    return found

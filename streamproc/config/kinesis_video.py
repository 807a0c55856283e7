"""The part of ``streamproc.yaml`` about Kinesis Video on this node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from connectors.kafka.settings import KafkaConnection
from streamproc.config.base import Settings
from streamproc.config.duration import Duration
from streamproc.config.size import Size


class FolderStore(Settings):
    """Fragments as files of a folder, with an index in SQLite."""

    type: Literal["folder"] = "folder"
    retention: Duration = 24 * 3600.0
    """Older fragments are removed. A stream whose own DataRetentionInHours is not 0 has that instead."""
    max_bytes: Size = Field(default=20 * 10**9, ge=1_000_000)
    """Most disk space of all fragments together; the oldest go first."""
    directory: Path | None = None
    """Left out: ``kinesis-video`` in the data directory."""


class KafkaStore(KafkaConnection):
    """Fragments as messages of a topic, which ``source: {type: kafka}`` reads as well; an index of them is kept in the data directory."""

    type: Literal["kafka"]
    retention: Duration = 24 * 3600.0
    """``retention.ms`` of the topic where it is made here; older fragments are not served."""
    max_bytes: Size = Field(default=20 * 10**9, ge=1_000_000)
    """``retention.bytes`` of the topic where it is made here."""


def _kind(value: object) -> str:
    """Which of the stores; a folder where nothing is said."""
    kind = value.get("type", "folder") if isinstance(value, dict) else getattr(value, "type", "folder")
    return str(kind)


class KinesisVideoSettings(Settings):
    """Kinesis Video Streams on the daemon's port: producers send fragments, consumers read them."""

    store: Annotated[
        Annotated[FolderStore, Tag("folder")] | Annotated[KafkaStore, Tag("kafka")],
        Discriminator(_kind, "unknown_store", "type must be folder or kafka"),
    ] = FolderStore()
    """Where fragments are kept. Left out: in a folder; where there is a ``cluster``, in its topic NAME.fragments, which all its nodes serve."""
    create: bool = True
    """Whether producers may create streams."""
    public_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+$")
    """What GetDataEndpoint answers where the address that a request was sent to is not reachable for others: scheme, host, port."""
    max_sessions: int = Field(default=200, ge=1, le=10_000)
    """PutMedia sessions at the same time; one more is refused."""
    max_fragment_bytes: Size = Field(default=50 * 10**6, ge=100_000, le=50 * 10**6)
    """Largest fragment (the service's is 50 MB)."""
    max_buffered_bytes: Size = Field(default=400 * 10**6, ge=1_000_000)
    """Most memory of all fragments that are arriving; the session that goes beyond it is ended with error 5000, and its producer sends again."""

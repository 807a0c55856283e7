"""Settings of the source ``kvs``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connectors.starts import FragmentStart, TimestampStart
from streamproc.config.base import Settings


class KvsSourceSettings(Settings):
    """A Kinesis video stream of this node."""

    stream: str = Field(
        pattern=r"^([a-zA-Z0-9_.-]{1,256}|arn:[\w-]+:kinesisvideo:[^:]*:[^:]*:stream/[a-zA-Z0-9_.-]+/\d+)$"
    )
    """Its name or ARN."""
    endpoint_url: Literal["local"] = "local"
    """``local``: this node's own streams."""
    start: Literal["now", "earliest"] | FragmentStart | TimestampStart = "now"
    """Where a session begins: now, earliest, {fragment: NUMBER} (with that one) or {timestamp: ISO 8601 or Unix milliseconds} (with the
    fragment that holds it, by the producer's clock)."""

    @property
    def stream_name(self) -> str:
        """The name, out of an ARN where it is one."""
        return self.stream.split("/")[1] if self.stream.startswith("arn:") else self.stream

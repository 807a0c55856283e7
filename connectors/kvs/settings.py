"""Settings of the source ``kvs``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from connectors.aws_access import AwsAccess
from connectors.starts import FragmentStart, TimestampStart
from streamproc.config.base import wrong
from streamproc.config.size import Size

LOCAL = "local"


class KvsSourceSettings(AwsAccess):
    """A Kinesis video stream: of Amazon's, of another node, or of this one."""

    stream: str = Field(
        pattern=r"^([a-zA-Z0-9_.-]{1,256}|arn:[\w-]+:kinesisvideo:[^:]*:[^:]*:stream/[a-zA-Z0-9_.-]+/\d+)$"
    )
    """Its name or ARN."""
    region: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,40}$")
    """That of the ARN, else the node's ``aws.region``, where left out."""
    endpoint_url: str | None = Field(default=None, pattern=r"^(local|https?://[^\s@]+)$")
    """``local``: this node's own streams. An address: another node. Left out: the node's ``aws.endpoint_url``, else Amazon."""
    start: Literal["now", "earliest"] | FragmentStart | TimestampStart = "now"
    """Where a session begins: now, earliest, {fragment: NUMBER} (with that one) or {timestamp: ISO 8601 or Unix milliseconds} (with the
    fragment that holds it, by the producer's clock)."""
    max_fragment_bytes: Size = Field(default=50 * 10**6, ge=100_000, le=50 * 10**6)
    """Larger fragments are not read (the service's own limit is 50 MB)."""

    @model_validator(mode="after")
    def _both_keys(self) -> KvsSourceSettings:
        if (self.access_key_id_env is None) != (self.secret_access_key_env is None):
            raise wrong("access_key_id_env", "give access_key_id_env and secret_access_key_env together, or neither")
        return self

    @property
    def is_local(self) -> bool:
        return self.endpoint_url == LOCAL

    @property
    def stream_name(self) -> str:
        """The name, out of an ARN where it is one."""
        return self.stream.split("/")[1] if self.stream.startswith("arn:") else self.stream

    def region_or(self, default: str) -> str:
        """The region to ask in."""
        of_arn = self.stream.split(":")[3] if self.stream.startswith("arn:") else ""
        return self.region or of_arn or default

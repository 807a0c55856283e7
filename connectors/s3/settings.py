"""What a config may say about S3."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from connectors.aws import AwsOutputSettings


class S3SinkSettings(AwsOutputSettings):
    """A bucket of Amazon S3, or of a store that speaks its API (``endpoint_url``)."""

    bucket: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.\-_]{1,253}[0-9A-Za-z]$")
    prefix: str = Field(default="", max_length=1024)
    """Keys begin with it; slashes at its ends do not matter."""
    uri_base: str | None = Field(default=None, pattern=r"^s3://.+[^/]$")
    """What the URIs in events begin with, where readers know the place by another name; ``s3://BUCKET/PREFIX`` where left out."""
    path_style: bool | None = None
    """``http://host/bucket/key`` instead of ``http://bucket.host/key``; left out: yes where ``endpoint_url`` is set."""
    kms_key_id: str | None = Field(default=None, min_length=1, max_length=2048)
    """Encrypt every object with this KMS key (SSE-KMS): id, ARN or alias."""
    directory: Path | None = None
    """Keep the objects in this folder, as ``DIRECTORY/KEY``, instead of in a store."""

"""What a cluster's document may say about the bucket of its pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from connectors.aws_access import AwsAccess
from streamproc.config.base import wrong
from streamproc.config.size import Size
from streamproc.core.event import INLINE_BYTES


class S3PictureSettings(AwsAccess):
    """A bucket of Amazon S3, or of a store that speaks its API, for pictures that are too large to travel with their event. The same on all nodes."""

    type: Literal["s3"]
    bucket: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.\-_]{1,253}[0-9A-Za-z]$")
    prefix: str = Field(default="", max_length=512)
    """Keys are PREFIX/CLUSTER/SESSION/EVENT-MARK.pictures; slashes at its ends do not matter."""
    path_style: bool | None = None
    """``http://host/bucket/key`` instead of ``http://bucket.host/key``; left out: yes where ``endpoint_url`` is set."""
    kms_key_id: str | None = Field(default=None, min_length=1, max_length=2048)
    """Encrypt every object with this KMS key (SSE-KMS): id, ARN or alias."""
    inline: Size = Field(default=INLINE_BYTES, le=INLINE_BYTES)
    """Pictures of an event up to this size together travel with it; 0: all go to the bucket."""
    max_waiting: Size = 10**9
    """What may wait on a node's disk while the bucket takes nothing. Beyond that an event's pictures stay with the node that took them."""

    @model_validator(mode="after")
    def _both_keys(self) -> S3PictureSettings:
        if (self.access_key_id_env is None) != (self.secret_access_key_env is None):
            missing = "secret_access_key_env" if self.secret_access_key_env is None else "access_key_id_env"
            raise wrong(
                missing, "give both access_key_id_env and secret_access_key_env, or neither for the usual AWS chain"
            )
        return self

"""What a config may say about Kinesis."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connectors.aws import AwsOutputSettings


class KinesisSinkSettings(AwsOutputSettings):
    """A data stream that takes one JSON record an event; in the ``aws`` form those are face search records."""

    stream_arn: str = Field(pattern=r"^arn:[a-z\d-]+:kinesis:[a-z\d-]+:\d{12}:stream/.+$")
    format: Literal["plain", "aws"] = "aws"

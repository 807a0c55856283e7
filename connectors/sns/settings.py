"""What a config may say about SNS."""

from __future__ import annotations

from pydantic import Field

from connectors.aws import AwsOutputSettings


class SnsSinkSettings(AwsOutputSettings):
    """A topic. ``format: aws`` sends what the service itself would."""

    topic_arn: str = Field(pattern=r"^arn:[a-z\d-]+:sns:[a-z\d-]*:\d{12}:[\w.\-]+$")
    """A FIFO topic (``....fifo``) is used as one: grouped by session, each event once."""

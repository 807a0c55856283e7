"""What a config may say about Kinesis."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from streamproc.config.base import Settings
from streamproc.core.event import EventType


class KinesisSinkSettings(Settings):
    """A data stream that takes one JSON record an event. Credentials come from the usual AWS chain."""

    stream_arn: str = Field(pattern=r"^arn:[a-z\d-]+:kinesis:[a-z\d-]+:\d{12}:stream/.+$")
    region: str | None = None
    """The ARN's where left out."""
    endpoint_url: str | None = None
    """The box's ``aws.endpoint_url`` where left out."""
    format: Literal["plain", "aws"] = "aws"
    events: tuple[EventType, ...] = (EventType.FACE_RECORD,)
    """Which events become records."""

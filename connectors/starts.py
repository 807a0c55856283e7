"""Where a session on a log of fragments begins, as configs say it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, field_validator

from streamproc.config.base import Settings
from streamproc.logic.fragments import parse_instant


class FragmentStart(Settings):
    """Begin at a fragment."""

    fragment: str = Field(pattern=r"^[0-9]{1,128}$", coerce_numbers_to_str=True)
    """Its number; where it is gone, the next one."""


class TimestampStart(Settings):
    """Begin at an instant of the producer's clock."""

    timestamp: Any
    """ISO 8601, or Unix seconds or milliseconds. The fragment that holds it comes first."""

    @field_validator("timestamp")
    @classmethod
    def _an_instant(cls, value: Any) -> Any:
        parse_instant(value)
        return value

    @property
    def instant(self) -> datetime:
        """UTC."""
        return parse_instant(self.timestamp)

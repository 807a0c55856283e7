"""Durations as people write them: ``120s``, ``2m``, ``1h30m``, ``500ms`` or a bare number of seconds."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from streamproc.logic.redact import echo

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: Any) -> float:
    """Seconds. Raises ValueError with the fix when ``value`` is no duration."""
    if isinstance(value, bool):
        raise ValueError("write a duration such as 10s, 2m or 1h30m")
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        text = value.strip().lower()
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
        try:
            return float(text)
        except ValueError:
            pass
    raise ValueError(f"{echo(value)} is no duration; write one such as 10s, 2m or 1h30m")


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"}]}
    ),
]
"""Seconds as a float inside; a string with a unit or a number outside."""

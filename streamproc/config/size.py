"""Sizes as people write them: ``200MB``, ``20GB`` or a bare number of bytes. Units are powers of ten."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from streamproc.logic.redact import echo

_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?", re.IGNORECASE)
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_size(value: Any) -> int:
    """Bytes. Raises ValueError with the fix when ``value`` is no size."""
    if isinstance(value, bool):
        raise ValueError("write a size such as 200MB or 20GB")
    if isinstance(value, int):
        return value
    if isinstance(value, str) and (match := _TEXT.fullmatch(value.strip())):
        return round(float(match[1]) * _BYTES[(match[2] or "B").upper()])
    raise ValueError(f"{echo(value)} is no size; write one such as 200MB or 20GB")


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([kKmMgGtT]?[bB])?$"},
            ]
        }
    ),
]
"""Bytes as an int inside; a string with a unit or a number outside."""

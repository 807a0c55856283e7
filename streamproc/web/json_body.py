"""JSON bodies of requests: one object, finite numbers, nesting within measure; everything else is the caller's error in words."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from aiohttp import web

from streamproc.core.errors import InputError

MAX_DEPTH = 64
"""No document of ours is half as deep; validators and writers that walk a document by recursion bear much more."""


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body as an object; an empty one where there is no body. Raises InputError."""
    return parse_object(await request.read()) if request.can_read_body else {}


def parse_object(body: bytes) -> dict[str, Any]:
    """The same of bytes."""
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
        if b"\\u" in body:  # half of a surrogate pair can be escaped, and not be written anywhere
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):  # numbers of thousands of digits are a ValueError too
        raise InputError("the body is no JSON; send one object in UTF-8, numbers finite") from None
    if not isinstance(document, dict):
        raise InputError("send a JSON object")
    if _depth(document) > MAX_DEPTH:
        raise InputError(f"the body is nested deeper than {MAX_DEPTH} levels")
    return document


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999
        raise ValueError(f"{text} is beyond all numbers")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        depth += 1
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
    return depth

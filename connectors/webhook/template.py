"""Bodies with {placeholders}: text, or a structure whose strings may hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from streamproc.contracts import Delivery
from streamproc.plain import plain_document, to_line, to_text

_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_DOCUMENT_KEYS = (
    "id",
    "type",
    "processor",
    "session",
    "time",
    "media_time_s",
    "class",
    "person",
    "confidence",
    "box",
    "region",
    "overlap",
    "frame",
    "crop",
    "counts",
    "persons",
    "started",
    "processed_s",
    "gaps",
    "reason",
    "seconds",
    "message",
    "duration_s",
    "tags",
)
PLACEHOLDERS = frozenset({*_DOCUMENT_KEYS, "text", "event"})
"""Keys of the plain form; ``text``: the event in a line for people; ``event``: the whole document."""


def unknown_placeholders(template: Any) -> list[str]:
    """Names in braces that mean nothing."""
    if isinstance(template, str):
        return [name for name in _PLACEHOLDER.findall(template) if name not in PLACEHOLDERS]
    if isinstance(template, Mapping):
        return [name for item in template.values() for name in unknown_placeholders(item)]
    if isinstance(template, list | tuple):
        return [name for item in template for name in unknown_placeholders(item)]
    return []


def values(delivery: Delivery, form: str) -> dict[str, Any]:
    """What the placeholders stand for; what the event does not have is None."""
    document = plain_document(delivery.event, delivery.images)
    filled = {name: document.get(name) for name in _DOCUMENT_KEYS}
    filled["tags"] = dict(delivery.context.get("tags") or {})
    return filled | {"text": to_text(delivery.event), "event": delivery.document(form)}


def fill(template: Any, filled: Mapping[str, Any], *, json_text: bool = False) -> Any:
    """The template with its placeholders filled.

    In a structure, a string that is one placeholder and nothing else becomes the value itself (a number stays a number). Within a
    string, None is left empty and structures are JSON; with ``json_text`` the string is JSON itself and values are escaped for it.
    """
    if isinstance(template, str):
        whole = _PLACEHOLDER.fullmatch(template)
        if whole and not json_text and whole[1] in filled:
            return filled[whole[1]]
        return _PLACEHOLDER.sub(lambda match: _as_text(filled[match[1]], json_text), template)
    if isinstance(template, Mapping):
        return {key: fill(item, filled) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return [fill(item, filled) for item in template]
    return template


def render(template: Any, filled: Mapping[str, Any], content_type: str) -> str:
    """The body."""
    if isinstance(template, str):
        body = fill(template, filled, json_text="json" in content_type)
        return body if isinstance(body, str) else _as_text(body, False)
    return json.dumps(fill(template, filled), ensure_ascii=False, allow_nan=False)


def _as_text(value: Any, json_text: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        return to_line(value) if isinstance(value, Mapping) else json.dumps(value, ensure_ascii=False)
    if json_text and isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)[1:-1]
    return str(value)

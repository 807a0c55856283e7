"""Parts of recordings by name and time: ``kvs://NAME?from=...&to=...``. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote, urlsplit

from streamproc.core.errors import InputError
from streamproc.core.media import rfc3339
from streamproc.logic.fragments import EARLIEST, LATEST, parse_instant

SCHEME = "kvs://"
EVENT_LEAD = timedelta(seconds=10)
"""Before and after an event, of the clip that is shown with it."""


@dataclass(frozen=True, slots=True)
class ClipRange:
    """A part of a stream, by its producer's clock."""

    stream: str
    begins: datetime = EARLIEST
    ends: datetime = LATEST

    @property
    def uri(self) -> str:
        return f"{SCHEME}{quote(self.stream, safe='')}?from={_text(self.begins)}&to={_text(self.ends)}"

    @property
    def begins_ms(self) -> int:
        """UTC epoch."""
        return _milliseconds(self.begins)

    @property
    def ends_ms(self) -> int:
        """UTC epoch."""
        return _milliseconds(self.ends)


def clip_of_event(stream: str, at: datetime) -> ClipRange:
    """The twenty seconds around an event."""
    return ClipRange(stream, at - EVENT_LEAD, at + EVENT_LEAD)


def parse_clip(text: str) -> ClipRange:
    """Raises InputError with the fix."""
    parts = urlsplit(text)
    name = unquote(parts.netloc)
    if parts.scheme != "kvs" or not name or parts.path not in ("", "/"):
        raise InputError(f"{text}: write {SCHEME}NAME?from=TIME&to=TIME, with times such as 2026-11-26T02:00:00Z")
    given = [pair.partition("=") for pair in parts.query.split("&") if pair]
    # Not as in forms: a plus is that of +02:00.
    times = {key: unquote(value) for key, _, value in given}
    unknown = sorted(set(times) - {"from", "to"})
    if unknown:
        raise InputError(f"{text}: {unknown[0]} is not known here; use from and to")
    return clip_between(name, times.get("from"), times.get("to"))


def clip_between(stream: str, begins: str | None, ends: str | None) -> ClipRange:
    """Either end may be left open. Raises InputError."""
    first, last = _instant("from", begins, EARLIEST), _instant("to", ends, LATEST)
    if last <= first:
        raise InputError(f"to: {ends} is not after {begins}")
    return ClipRange(stream, first, last)


def _instant(field: str, text: str | None, default: datetime) -> datetime:
    if not text:
        return default
    try:
        return parse_instant(text)
    except ValueError as error:
        raise InputError(f"{field}: {error}") from None


def _text(instant: datetime) -> str:
    return rfc3339(instant)


def _milliseconds(instant: datetime) -> int:
    return round(instant.astimezone(UTC).timestamp() * 1000)

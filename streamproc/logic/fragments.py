"""Where the fragments of a durable log lie in media time, and what a start selector asks for. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

TOLERANCE = Fraction(1, 10)
"""Producer timestamps are coarse: fragments that meet within so many seconds follow each other without a seam."""
HOLE = Fraction(2)
"""A longer pause between fragments means that video is missing."""
LEAP = Fraction(86_400)
"""A producer's clock that moves by more than a day other than the broker's does between two fragments was set, wrongly or rightly: no video is
missing for that long."""
NEVER = Fraction(86_400 * 400)
"""No log keeps video for longer, and no feed pauses for longer and goes on as the same."""
MOMENT = Fraction(1, 1000)
REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a fragment belongs."""

    media: Fraction
    """Media time of its first frame."""
    hole: Fraction
    """Seconds without video before it; 0 where it follows without a seam."""


class FragmentClock:
    """Places fragments by their producer timestamps, smoothed by the continuous timestamps within, where there are such."""

    def __init__(self) -> None:
        self._origin: datetime | None = None
        self._end: Fraction | None = None
        self._pts_shift: Fraction | None = None
        self._still = False
        self._server: datetime | None = None
        self._seen: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)

    def is_repeated(self, number: str, producer: datetime) -> bool:
        """Whether this very fragment was placed before: a producer without idempotence sent it twice."""
        return (number, producer.isoformat()) in self._seen

    def place(
        self,
        number: str,
        producer: datetime,
        first_pts: Fraction,
        duration: Fraction,
        server: datetime | None = None,
    ) -> Placed:
        """The next fragment. ``first_pts`` and ``duration`` in seconds; a still picture lasts 0. ``server``: when the log took it, where known."""
        self._seen.append((number, producer.isoformat()))
        self._mend_leap(producer, server)
        if self._origin is None or self._end is None:
            self._origin = producer
            media, hole = Fraction(0), Fraction(0)
        else:
            media = self._media(_seconds(producer - self._origin), first_pts)
            hole = max(Fraction(0), media - self._end)
        self._pts_shift = media - first_pts
        self._end = max(self._end or media, media + duration)
        self._still = duration == 0
        return Placed(media, hole)

    def _mend_leap(self, producer: datetime, server: datetime | None) -> None:
        """Where the producer's clock leapt and the broker's did not, the fragment follows the one before it."""
        before, self._server = self._server, server
        if self._origin is None or self._end is None or server is None or before is None:
            return
        # A broker that keeps the producer's own stamps leaps along with it.
        leap = _seconds(producer - self._origin) - self._end
        if abs(leap - max(Fraction(0), _seconds(server - before))) > LEAP or abs(leap) > NEVER:
            self._origin = producer - timedelta(microseconds=round(self._end * 1_000_000))

    def _media(self, by_producer: Fraction, first_pts: Fraction) -> Fraction:
        assert self._end is not None and self._pts_shift is not None
        by_pts = first_pts + self._pts_shift
        if self._still:
            if by_producer < self._end:
                self._turn_back(self._end - by_producer)
            return max(by_producer, self._end + MOMENT)
        if abs(by_pts - by_producer) <= TOLERANCE and abs(by_pts - self._end) <= TOLERANCE:
            return by_pts
        if by_producer <= self._end + TOLERANCE:
            # Overlaps by rounding, or the producer's clock was set back: its video is new all the same.
            if by_producer < self._end - TOLERANCE:
                self._turn_back(self._end - by_producer)
            return self._end
        return by_producer

    def _turn_back(self, seconds: Fraction) -> None:
        assert self._origin is not None
        self._origin -= timedelta(microseconds=round(seconds * 1_000_000))

    def snapshot(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {
            "origin": None if self._origin is None else self._origin.isoformat(),
            "end": None if self._end is None else str(self._end),
            "pts_shift": None if self._pts_shift is None else str(self._pts_shift),
            "still": self._still,
            "server": None if self._server is None else self._server.isoformat(),
            "seen": [list(item) for item in self._seen],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot: media time keeps counting from the session's first frame."""
        self._origin = None if state["origin"] is None else datetime.fromisoformat(state["origin"])
        self._end = None if state["end"] is None else Fraction(state["end"])
        self._pts_shift = None if state["pts_shift"] is None else Fraction(state["pts_shift"])
        self._still = state["still"]
        self._server = datetime.fromisoformat(state["server"]) if state.get("server") else None
        self._seen = deque(((number, producer) for number, producer in state["seen"]), maxlen=REMEMBERED)


LONGEST = Fraction(10)
"""Fragments last at most so many seconds (the service's documents: 1-10 s)."""


class Cutter:
    """Decides where a run of packets is cut into fragments: at the first keyframe after the wanted length, before the longest."""

    def __init__(self, wanted: Fraction) -> None:
        self._wanted = wanted
        self._begin: Fraction | None = None
        self._keyframe: Fraction | None = None

    def cuts(self, media: Fraction, keyframe: bool) -> bool:
        """Whether a fragment ends before the packet at ``media``."""
        if self._begin is None or self._keyframe is None:
            self._begin = self._keyframe = media
            return False
        if not keyframe:
            return False
        spacing = media - self._keyframe
        self._keyframe = media
        elapsed = media - self._begin
        # Half a frame of slack: timestamps are rounded.
        if elapsed + Fraction(1, 50) < self._wanted and elapsed + spacing <= LONGEST:
            return False
        self._begin = media
        return True

    def too_long(self, media: Fraction) -> bool:
        """Whether no keyframe came for so long that a fragment without one would be too long."""
        return self._begin is not None and media - self._begin > LONGEST

    def restart(self) -> None:
        """The next packet begins a fragment."""
        self._begin = self._keyframe = None


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)


FRAGMENT_HEADER = "fragment-number"
SESSION_HEADER = "put-session"
PRODUCER_HEADER = "producer-timestamp"
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Producer times outside are no times of a camera; near the end of the calendar, sums of them could not be written."""
_MILLISECONDS_FROM = 100_000_000_000
"""Unix times above this are milliseconds (as seconds they would lie in the year 5138)."""


def parse_instant(value: Any) -> datetime:
    """UTC from ISO 8601 text, a datetime, or Unix seconds or milliseconds. Raises ValueError."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool):
        raise ValueError("write an ISO 8601 time or Unix milliseconds")
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            try:
                return parse_instant(datetime.fromisoformat(text))
            except ValueError:
                raise ValueError(f"{value!r} is no time; write ISO 8601 or Unix milliseconds") from None
        value = float(text) if "." in text else int(text)
    if not isinstance(value, int | float):
        raise ValueError("write an ISO 8601 time or Unix milliseconds")
    seconds = Fraction(value) / 1000 if abs(value) >= _MILLISECONDS_FROM else Fraction(value)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(seconds * 1_000_000))
    except OverflowError:
        raise ValueError(f"{value!r} lies outside of time") from None


def instant_of(milliseconds: int) -> datetime:
    """A log's own time of a record, which its producer may have set to anything: clamped to what is a time of a camera."""
    longest = (LATEST - EARLIEST) // timedelta(milliseconds=1)
    return EARLIEST + timedelta(milliseconds=min(max(0, milliseconds), longest))


def header(headers: Mapping[str, bytes], name: str) -> str | None:
    """A header's text, whatever the case and punctuation of its name; None where it is missing or empty."""
    wanted = _plain(name)
    for key, value in headers.items():
        if _plain(key).removeprefix("x").removeprefix("streamproc") == wanted and value:
            text = value.decode("ascii", "replace").strip()
            return text or None
    return None


def producer_time(headers: Mapping[str, bytes], record_time: datetime) -> datetime:
    """The producer's timestamp header; the record's own time where it is missing or no time."""
    text = header(headers, PRODUCER_HEADER)
    try:
        instant = parse_instant(text) if text else record_time
    except ValueError:
        return record_time
    return instant if EARLIEST <= instant < LATEST else record_time


def fragment_number(headers: Mapping[str, bytes], offset: int) -> str:
    """The fragment number header (decimal digits); the record's offset where it is missing."""
    text = header(headers, FRAGMENT_HEADER)
    return text if text and text.isascii() and text.isdigit() else str(offset)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

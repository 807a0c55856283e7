"""What the headers of PutMedia say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from streamproc.aws_protocol.faults import AwsFault

_SECONDS = re.compile(r"\d{1,13}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class PutRequest:
    """One PutMedia session's own words."""

    absolute: bool
    """Whether cluster timecodes are epoch milliseconds; else they count from ``start_ms``."""
    start_ms: int
    """Producer start, UTC epoch."""
    wants_acks: bool

    def producer_ms(self, timecode_ms: int) -> int:
        """When a cluster's timecode was, by the producer's clock."""
        return timecode_ms if self.absolute else self.start_ms + timecode_ms


def invalid(message: str) -> AwsFault:
    return AwsFault("InvalidArgumentException", message)


def read_put_request(headers: Mapping[str, str], now_ms: int) -> PutRequest:
    """``headers`` with lower-case names; ``now_ms`` stands in for a start that is absent or 0. Raises AwsFault."""
    kind = headers.get("x-amzn-fragment-timecode-type", "RELATIVE")
    if kind not in ("ABSOLUTE", "RELATIVE"):
        raise invalid("x-amzn-fragment-timecode-type must be ABSOLUTE or RELATIVE.")
    start_ms = parse_start(headers.get("x-amzn-producer-start-timestamp", "0"))
    acks = headers.get("x-amzn-fragment-acknowledgment-required", "1").strip().lower() not in ("0", "false")
    return PutRequest(kind == "ABSOLUTE", start_ms or now_ms, acks)


def parse_start(text: str) -> int:
    """UTC epoch milliseconds of epoch seconds or ISO 8601. Raises AwsFault.

    The C and C++ SDKs write milliseconds behind the point without zeros before them (5 ms is ``.5``); that cannot be told apart.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return round(float(text) * 1000)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("x-amzn-producer-start-timestamp must be epoch seconds or ISO 8601.") from None
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)

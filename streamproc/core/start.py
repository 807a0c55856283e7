"""What a caller asks of one session, over and above the processor's document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Every part left out: as the document says. Holds for the one session that it starts, also over a restart. JSON-ready."""

    at: Mapping[str, Any] | None = None
    """Where a durable source begins, as its ``start`` option has it: ``{"fragment": "12"}`` or ``{"timestamp": SECONDS}``
    (UTC, epoch). Sources that cannot go back ignore it."""
    duration_s: float | None = None
    """Longest session."""
    echo: Mapping[str, Any] = field(default_factory=dict)
    """Repeated in each notification of the session (``Delivery.context["start_request"]``)."""

"""Which of a processor's events go to which of its outputs."""

from __future__ import annotations

from typing import NamedTuple

from streamproc.core.event import EventType


class Route(NamedTuple):
    """One output of a processor, as the journal needs to know it."""

    output: str
    """The output's key, ``PROCESSOR/NAME``: stays the same over restarts and edits of the output's settings."""
    types: frozenset[EventType]
    """What it takes."""

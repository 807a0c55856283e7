"""The part of ``streamproc.yaml`` about traces of decisions."""

from __future__ import annotations

from pydantic import Field

from streamproc.config.base import Settings
from streamproc.config.size import Size


class ExplainSettings(Settings):
    """What was decided about each frame, kept so that ``streamproc explain`` can say why something was, or was not, announced."""

    enabled: bool = True
    max_bytes: Size = Field(default=500_000_000, ge=2_000_000)
    """Most disk space of all processors together; the oldest is overwritten."""

"""The part of a processor's document about the camera's own health."""

from __future__ import annotations

from pydantic import Field

from streamproc.config.base import Settings
from streamproc.config.duration import Duration


class HealthSettings(Settings):
    """Tell as events when the camera is offline, frozen, covered, out of focus, turned elsewhere, slow or of a wrong clock."""

    enabled: bool = True
    offline_after: Duration = Field(default=30.0, ge=1.0)
    """A feed that gives nothing for so long is offline."""

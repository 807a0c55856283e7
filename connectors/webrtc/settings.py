"""What a config may say about a feed that is published to the node."""

from __future__ import annotations

from typing import Literal

from streamproc.config.base import Settings


class WebrtcSourceSettings(Settings):
    """A feed that somebody publishes by WHIP to ``/whip/NAME``."""

    second_publisher: Literal["refuse", "take_over"] = "refuse"
    """While one publishes, another is refused (409), or takes its place."""

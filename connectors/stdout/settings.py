"""What a config may say about standard output."""

from __future__ import annotations

from typing import Literal

from streamproc.config.base import OutputSettings


class StdoutSinkSettings(OutputSettings):
    """One event a line on the daemon's standard output."""

    style: Literal["json", "text"] = "json"
    """``text``: a line for people, whatever the format."""

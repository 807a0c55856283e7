"""Where a user's state lives."""

from __future__ import annotations

import os
from pathlib import Path

CLIP_SOURCE = {"type": "file", "path": "clip"}
"""Stands in a processor's document where a clip takes the place of its source."""


def default_data_dir() -> Path:
    """``$STREAMPROC_DATA``, else the XDG data folder."""
    named = os.environ.get("STREAMPROC_DATA")
    if named:
        return Path(named)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "streamproc"

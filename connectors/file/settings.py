"""What a config may say about files."""

from __future__ import annotations

from pathlib import Path

from streamproc.config.base import Settings


class FileSourceSettings(Settings):
    """A stored video or photograph, in any container FFmpeg reads."""

    path: Path
    """The file; relative to the config's folder."""
    realtime: bool = False
    """Play at the pace it was recorded, as a camera would; otherwise as fast as it can be looked at."""
    loop: bool = False
    """Begin again at the end; media time goes on."""

"""What a config may say about files."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from streamproc.config.base import OutputSettings, Settings


class FileSourceSettings(Settings):
    """A stored video or photograph, in any container FFmpeg reads."""

    path: Path
    """The file; relative to the config's folder."""
    realtime: bool = False
    """Play at the pace it was recorded, as a camera would; otherwise as fast as it can be looked at."""
    loop: bool = False
    """Begin again at the end; media time goes on."""


class FileSinkSettings(OutputSettings):
    """JSON lines in ``DIRECTORY/STREAM.jsonl``, pictures below ``DIRECTORY/frames`` and ``DIRECTORY/crops``."""

    directory: Path
    """Made where it does not exist; relative to the config's folder."""
    stream: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_\-][a-zA-Z0-9_.\-]{0,200}$")
    """What the file is called, without ``.jsonl``; the processor's name where left out."""
    pictures: bool = True
    """Also keep the hero frames and crops."""

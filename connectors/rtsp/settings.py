"""What a config may say about an RTSP camera."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from streamproc.config.base import Settings
from streamproc.config.duration import Duration


class RtspSourceSettings(Settings):
    """A network camera, by RTSP or RTSPS."""

    url: str = Field(pattern=r"^[rR][tT][sS][pP][sS]?://[^\s]+$")
    """rtsp://HOST[:PORT]/PATH. Better without a password in it: see username_env."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How pictures travel; udp is for networks that lose little and cameras that want it."""
    username_env: str | None = Field(default=None, min_length=1)
    """Environment variable with the user's name."""
    password_env: str | None = Field(default=None, min_length=1)
    """Environment variable with the password."""
    credentials_file: Path | None = None
    """A file with USER:PASSWORD on its first line, instead of the environment."""
    connect_timeout: Duration = Field(default=5.0, gt=0, le=15)
    """How long the camera may take to answer."""
    stall_after: Duration = Field(default=8.0, ge=1, le=60)
    """Connected, but no picture for so long: connect again."""

    @model_validator(mode="after")
    def _one_way(self) -> RtspSourceSettings:
        if self.credentials_file and (self.username_env or self.password_env):
            raise ValueError("give credentials_file, or username_env and password_env, not both")
        if self.password_env and not self.username_env:
            raise ValueError("username_env is missing; give it beside password_env")
        return self

"""``webrtc:`` of the node's document."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from streamproc.config.base import Settings
from streamproc.core.errors import ConfigError, Fault
from streamproc.logic.redact import shown_variable


class IceServer(Settings):
    """One STUN or TURN server."""

    url: str = Field(pattern=r"^(stun|stuns|turn|turns):[^\s]+$")
    """stun:HOST[:PORT] or turn:HOST[:PORT][?transport=udp]"""
    username: str | None = None
    credential_env: str | None = None
    """Environment variable with the TURN password."""


class WebrtcSettings(Settings):
    """How peers reach this node. Nothing needs to be set on one network."""

    ice_servers: tuple[IceServer, ...] = ()
    """Left out: no server is contacted, and only the node's own addresses are offered."""
    udp_ports: tuple[int, int] | None = None
    """First and last UDP port; a peer takes one port for each address. Left out: any free ones."""
    addresses: tuple[str, ...] = ()
    """The node's addresses that are offered; all of them where left out."""
    max_viewers: int = Field(default=50, ge=1)
    """Of the whole box; more are refused with 503."""

    @field_validator("udp_ports")
    @classmethod
    def _in_order(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not 1024 <= value[0] <= value[1] <= 65535:
            raise ValueError("give [FIRST, LAST] within 1024 to 65535, the smaller first")
        return value

    @model_validator(mode="after")
    def _one_of_a_kind(self) -> WebrtcSettings:
        for kind in ("stun", "turn"):
            if sum(server.url.startswith(kind) for server in self.ice_servers) > 1:
                raise ValueError(f"ice_servers: one {kind} server at most is used; leave the others out")
        return self


def check_secrets(settings: WebrtcSettings, environ: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError where a TURN password is not set."""
    for index, server in enumerate(settings.ice_servers):
        if server.credential_env is not None and server.credential_env not in environ:
            said = f"the environment variable {shown_variable(server.credential_env)} is not set; set it for the daemon"
            raise ConfigError("streamproc.yaml", [Fault(f"webrtc.ice_servers[{index}].credential_env", said)])

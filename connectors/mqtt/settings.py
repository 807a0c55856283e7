"""What a config may say about MQTT."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from streamproc.config.base import OutputSettings, wrong
from streamproc.config.duration import Duration

_LEVELS = r"^[^/+#\x00$][^+#\x00]*$"
"""One or more levels of a topic, without wildcards; one that begins with $ is the broker's own."""
_HOST = r"^[^\s/@]+$"
_FIXES = {
    "host": (_HOST, "write a host's name or address alone, such as 192.168.1.5; port and tls are keys of their own"),
    "prefix": (_LEVELS, "write levels of a topic without + and #, such as streamproc or home/cameras"),
    "discovery": (
        _LEVELS,
        "write Home Assistant's discovery prefix, which is homeassistant if nobody changed it, or false",
    ),
}


class MqttSinkSettings(OutputSettings):
    """A broker that gets an event's document a message, and retained states beside them."""

    host: str = Field(pattern=_HOST)
    port: int | None = Field(default=None, ge=1, le=65535)
    """1883, with ``tls`` 8883, where left out."""
    tls: bool = False
    ca_file: Path | None = None
    """Certificates to trust, PEM; the system's where left out."""
    cert_file: Path | None = None
    """Our own certificate, PEM, where the broker asks for one."""
    key_file: Path | None = None
    username_env: str | None = None
    """Environment variables that hold the user name and the password."""
    password_env: str | None = None
    prefix: Annotated[str, Field(pattern=_LEVELS, max_length=200)] = "streamproc"
    """Topics are PREFIX/NODE_ID/PROCESSOR/..."""
    discovery: Annotated[str, Field(pattern=_LEVELS, max_length=200)] | Literal[False] = "homeassistant"
    """Home Assistant's discovery prefix; false: no discovery."""
    commands: bool = False
    """Whether who may publish to the broker may start, stop and set this processor."""
    qos: Literal[1, 2] = 1
    """How events are sent: at least once, or once per connection. States are always sent at least once."""
    pictures: bool = True
    """Whether the last detection's picture is published (JPEG, at most 200 KB)."""
    status_every: Duration = Field(default=60.0, ge=5, le=3600)
    """How often figures (frames a second, latency) are published while nothing else changes."""
    configuration_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Where Home Assistant's "visit device" leads."""

    @field_validator(*_FIXES, mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        pattern, fix = _FIXES[info.field_name or ""]
        if value is True or (isinstance(value, str) and not re.search(pattern, value)):
            raise ValueError(fix)
        return value

    @model_validator(mode="before")
    @classmethod
    def _no_secrets(cls, values: Any) -> Any:
        for key in ("username", "password"):
            if isinstance(values, dict) and key in values:
                raise wrong(
                    key, f"it does not stand in the file; name the environment variable that holds it: {key}_env"
                )
        return values

    @model_validator(mode="after")
    def _whole(self) -> MqttSinkSettings:
        if (self.ca_file or self.cert_file) and not self.tls:
            raise wrong("tls", "ca_file and cert_file are for TLS; set tls: true")
        if self.key_file and not self.cert_file:
            raise wrong("cert_file", "key_file without cert_file; give both")
        if self.password_env and not self.username_env:
            raise wrong("username_env", "password_env without username_env; give both")
        return self

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port or (8883 if self.tls else 1883)

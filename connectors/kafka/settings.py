"""What a config may say about Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from connectors.starts import FragmentStart, TimestampStart
from streamproc.config.base import OutputSettings, Settings


class KafkaServers(Settings):
    """Brokers, and how they know who asks."""

    bootstrap_servers: str = Field(pattern=r"^[^\s,]+(\s*,\s*[^\s,]+)*$")
    """HOST:PORT, several separated by commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username_env: str | None = None
    """Environment variables that hold the SASL user name and password."""
    password_env: str | None = None
    ca_file: Path | None = None
    """Certificates to trust, PEM; the system's where left out."""
    cert_file: Path | None = None
    """Our own certificate, PEM, where the brokers ask for one."""
    key_file: Path | None = None

    @model_validator(mode="after")
    def _whole_credentials(self) -> KafkaServers:
        if self.security_protocol.startswith("SASL") and not (self.username_env and self.password_env):
            raise ValueError(f"security_protocol {self.security_protocol} needs username_env and password_env")
        return self


class KafkaConnection(KafkaServers):
    """How to reach a topic; the same for feeds and outputs."""

    topic: str = Field(pattern=r"^[a-zA-Z0-9._\-]{1,249}$")


class KafkaSourceSettings(KafkaConnection):
    """A topic of video fragments. Headers ``producer-timestamp`` (Unix ms) and ``fragment-number`` say when and which."""

    stream: str | None = Field(default=None, min_length=1)
    """Only messages of this key. Left out: the whole topic is one feed."""
    start: Literal["latest", "earliest"] | FragmentStart | TimestampStart = "latest"
    """Where a session begins: latest, earliest, {fragment: "12"} or {timestamp: ISO 8601 or Unix milliseconds}."""
    max_fragment_bytes: int = Field(default=33_554_432, ge=1000)
    """Larger messages are skipped and reported."""


class KafkaSinkSettings(OutputSettings, KafkaConnection):
    """A topic that takes one message an event."""

    key: Literal["session", "processor", "event"] = "session"
    """What messages are keyed by, and so which of them stay in order in one partition."""
    max_bytes: int = Field(default=1_000_000, ge=1000, le=100_000_000)
    """Largest message; the broker's and the topic's ``max.message.bytes`` must allow it."""
    compression: Literal["none", "gzip"] = "none"

"""What a config may say about webhooks."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connectors.webhook.template import PLACEHOLDERS, unknown_placeholders
from streamproc.config.base import OutputSettings
from streamproc.config.duration import Duration
from streamproc.logic.redact import echo

_TOKEN = re.compile(r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")


class WebhookSinkSettings(OutputSettings):
    """An address that gets one HTTP request an event."""

    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """http:// or https://. Put no password in it: see ``headers_env``."""
    url_env: str | None = None
    """Environment variable that holds the address, where the address itself is a secret."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    template: str | dict[str, Any] | list[Any] | None = None
    """The body: text, or a YAML structure that becomes JSON, with {placeholders}. Left out: the event's document."""
    content_type: str | None = None
    """``application/json``, for a text template ``text/plain``, where left out."""
    headers: dict[str, str] = {}
    headers_env: dict[str, str] = {}
    """Headers whose value is taken from an environment variable: {Authorization: VARIABLE}."""
    secret_env: str | None = None
    """Environment variable with the secret that requests are signed with (X-Streamproc-Signature)."""
    timeout: Duration = Field(default=10.0, gt=0, le=25)
    verify_tls: bool = True

    @field_validator("template")
    @classmethod
    def _known_placeholders(cls, value: Any) -> Any:
        if unknown := unknown_placeholders(value):
            raise ValueError(f"no such placeholder: {{{unknown[0]}}}; there are {', '.join(sorted(PLACEHOLDERS))}")
        return value

    @field_validator("headers", "headers_env")
    @classmethod
    def _sound_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _TOKEN.match(name) or "\n" in text or "\r" in text:
                raise ValueError(f"{echo(name)} is no HTTP header, or its value has a line break")
        return value

    @model_validator(mode="after")
    def _one_address_without_password(self) -> WebhookSinkSettings:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give either url or url_env")
        if self.url and re.match(r"^https?://[^/?#]*@", self.url):
            raise ValueError("url holds a password; leave it out and give headers_env: {Authorization: VARIABLE}")
        if self.url and host_of(self.url) is None:
            raise ValueError(
                "url is no address of the form http://HOST[:PORT]/PATH; a password belongs into headers_env"
            )
        return self


def host_of(url: str) -> str | None:
    """The host of an address; None where the address is none, as one with brackets or ``#`` in a password."""
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.port is None or parts.port > 0 else None
    except ValueError:  # the brackets, or the port
        return None

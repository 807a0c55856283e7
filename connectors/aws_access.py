"""Who we are at AWS, or at what imitates it, as configs say it."""

from __future__ import annotations

from pydantic import Field

from streamproc.config.base import Settings


class AwsAccess(Settings):
    """Where the service is and who we are there. Left out: the usual AWS chain (environment, profile, instance role)."""

    region: str | None = None
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """The node's ``aws.endpoint_url`` where left out."""
    profile: str | None = None
    """A profile of ``~/.aws``."""
    access_key_id_env: str | None = None
    """Environment variable that holds the access key id; needs ``secret_access_key_env`` too."""
    secret_access_key_env: str | None = None
    session_token_env: str | None = None

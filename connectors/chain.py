"""Credentials and endpoints for libraries that do not walk the AWS chain themselves."""

from __future__ import annotations

import botocore.session
from botocore.configprovider import ConfiguredEndpointProvider


def chain_credentials() -> dict[str, str] | None:
    """access_key_id, secret_access_key and, where there is one, session_token by the usual AWS chain (environment, profile,
    container, instance); None where it has none."""
    found = botocore.session.get_session().get_credentials()
    if found is None:
        return None
    frozen = found.get_frozen_credentials()
    keys = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key}
    return keys | ({"session_token": frozen.token} if frozen.token else {})


def chain_endpoint(service: str) -> str | None:
    """Where the service is by AWS_ENDPOINT_URL_SERVICE, AWS_ENDPOINT_URL or the profile, as AWS's own tools have it; None: at Amazon."""
    session = botocore.session.get_session()
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    provider = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), service)
    found: str | None = provider.provide()
    return found

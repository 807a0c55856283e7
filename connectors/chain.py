"""Credentials and endpoints for libraries that do not walk the AWS chain themselves."""

from __future__ import annotations

from collections.abc import Mapping

import botocore.session
from botocore.configprovider import ConfiguredEndpointProvider

from connectors.context import secret


def named_credentials(options: Mapping[str, str]) -> dict[str, str] | None:
    """access_key_id, secret_access_key and, where there is one, session_token by an output's settings: the environment variables that
    ``access_key_id_env``... name, the ``profile``, else the usual AWS chain. None where there are none.

    Raises InputError where a variable that is named is not set.
    """
    if "access_key_id_env" not in options:
        return chain_credentials(options.get("profile"))
    names = ("access_key_id", "secret_access_key", "session_token")
    return {name: secret(options[f"{name}_env"], f"{name}_env") for name in names if f"{name}_env" in options}


def chain_credentials(profile: str | None = None) -> dict[str, str] | None:
    """The same by the usual AWS chain: environment, profile, container, instance."""
    found = botocore.session.Session(profile=profile).get_credentials()
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

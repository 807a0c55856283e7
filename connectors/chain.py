"""Credentials for libraries that do not walk the AWS chain themselves."""

from __future__ import annotations

import botocore.session


def chain_credentials() -> dict[str, str] | None:
    """access_key_id, secret_access_key and, where there is one, session_token by the usual AWS chain (environment, profile,
    container, instance); None where it has none."""
    found = botocore.session.get_session().get_credentials()
    if found is None:
        return None
    frozen = found.get_frozen_credentials()
    keys = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key}
    return keys | ({"session_token": frozen.token} if frozen.token else {})

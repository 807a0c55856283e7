"""Client options out of the settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from connectors.context import ConnectorContext, secret
from connectors.kafka.settings import KafkaConnection
from streamproc.core.errors import InputError


def client_options(settings: KafkaConnection, context: ConnectorContext) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client takes. InputError where a secret or a certificate is missing."""
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "security_protocol": settings.security_protocol,
        "client_id": f"streamproc-{context.processor}",
    }
    if settings.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = secret(settings.username_env or "", "username_env")
        options["sasl_plain_password"] = secret(settings.password_env or "", "password_env")
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _tls(settings, context)
    return options


def _tls(settings: KafkaConnection, context: ConnectorContext) -> ssl.SSLContext:
    def place(path: Path | None) -> Path | None:
        return context.path(path) if path else None

    try:
        tls = ssl.create_default_context(cafile=place(settings.ca_file))
        if settings.cert_file:
            tls.load_cert_chain(context.path(settings.cert_file), place(settings.key_file))
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"ca_file, cert_file or key_file cannot be used: {error}") from error
    return tls


def words(error: BaseException) -> str:
    """The error with its name, once: Kafka's own put it into their text already, others may have no text at all."""
    said, name = str(error), type(error).__name__
    return said if said.startswith(name) else f"{name}: {said}".removesuffix(": ")

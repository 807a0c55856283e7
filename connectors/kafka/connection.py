"""Client options out of the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from connectors.context import ConnectorContext, secret
from connectors.kafka.settings import KafkaConnection
from connectors.tls import tls_context

UNKNOWN_US = (AuthenticationFailedError, SaslAuthenticationFailed, UnsupportedSaslMechanismError)
"""What the brokers say to a wrong user or password, or to the wrong way of asking."""


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
        options["ssl_context"] = tls_context(settings, context)
    return options


async def started(start: Callable[[], Awaitable[None]], options: Mapping[str, Any]) -> None:
    """Start a client of these options. Raises what keeps it from it: KafkaError or OSError.

    aiokafka itself says only that no broker could be used, and leaves the reason (a password, a certificate) to its log.
    """
    try:
        await start()
    except KafkaConnectionError as error:
        raise await _reason(options) or error from None


async def _reason(options: Mapping[str, Any]) -> KafkaError | OSError | None:
    """Why no broker can be used, by trying each; a refusal tells more than one that is away."""
    names = ("client_id", "security_protocol", "ssl_context", "sasl_mechanism")
    asked = {name: options[name] for name in (*names, "sasl_plain_username", "sasl_plain_password") if name in options}
    found: KafkaError | OSError | None = None
    for host, port, _ in collect_hosts(options["bootstrap_servers"], randomize=False):
        try:
            connection = await create_conn(host, port, request_timeout_ms=5000, **asked)
            connection.close()
        except UNKNOWN_US as error:
            return error
        except (TimeoutError, KafkaError, OSError) as error:
            found = found or error
    return found


def words(error: BaseException) -> str:
    """The error with its name, once: Kafka's own put it into their text already, others may have no text at all."""
    said, name = str(error), type(error).__name__
    return said if said.startswith(name) else f"{name}: {said}".removesuffix(": ")

"""TLS to a broker, with the files that a connection's settings name."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

from connectors.context import ConnectorContext
from streamproc.core.errors import InputError


class TlsFiles(Protocol):
    """Of a connection's settings: paths may be relative to the config's folder."""

    @property
    def ca_file(self) -> Path | None: ...
    @property
    def cert_file(self) -> Path | None: ...
    @property
    def key_file(self) -> Path | None: ...


def tls_context(settings: TlsFiles, context: ConnectorContext) -> ssl.SSLContext:
    """Raises InputError where a certificate cannot be used."""

    def place(path: Path | None) -> Path | None:
        return context.path(path) if path else None

    try:
        tls = ssl.create_default_context(cafile=place(settings.ca_file))
        if settings.cert_file:
            tls.load_cert_chain(context.path(settings.cert_file), place(settings.key_file))
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"ca_file, cert_file or key_file cannot be used: {error}") from error
    return tls

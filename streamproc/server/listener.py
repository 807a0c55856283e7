"""The node's HTTP port: bound, with TLS where it is asked for, behind the limits on connections."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from streamproc.config.node import ServerSettings
from streamproc.core.errors import InputError
from streamproc.server.connections import ConnectionLimits, GatedRunner
from streamproc.server.descriptors import raise_limit


def is_no_strangers_mistake(record: logging.LogRecord) -> bool:
    """What is no HTTP, or no body of the encoding that it claims, is answered with 400 and is no line of the log: anybody could fill the disk with tracebacks."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


async def listen_with(app: web.Application, listen: str, server: ServerSettings, folder: Path) -> web.AppRunner:
    """Serve ``app`` at HOST:PORT until the runner is cleaned up. Raises InputError where the port or the certificate cannot be used.

    ``folder``: what relative paths of the certificate start from.
    """
    logging.getLogger("aiohttp.server").addFilter(is_no_strangers_mistake)
    runner = GatedRunner(app, access_log=None, shutdown_timeout=3.0)
    runner.limits = ConnectionLimits.within(raise_limit())
    await runner.setup()
    host, port = split_listen(listen)
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls_of(server, folder)).start()
    except OSError as error:
        await runner.cleanup()
        said = error.strerror or error
        raise InputError(f"server.listen: {listen} cannot be used: {said}; choose another --listen") from None
    return runner


def split_listen(listen: str) -> tuple[str, int]:
    """``HOST:PORT``; an IPv6 host in brackets."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def tls_of(server: ServerSettings, folder: Path) -> ssl.SSLContext | None:
    """None where no certificate is set. Raises InputError where it cannot be loaded."""
    if server.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    key = folder / server.tls_key if server.tls_key is not None else None
    try:
        context.load_cert_chain(folder / server.tls_cert, key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"server.tls_cert: {error}; give a PEM certificate and its key") from None
    return context

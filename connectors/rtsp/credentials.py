"""The camera's user and password, out of the environment, a file or the URL; FFmpeg wants them in the URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from connectors.context import ConnectorContext, secret
from connectors.rtsp.settings import RtspSourceSettings
from streamproc.core.errors import InputError


def url_with_credentials(settings: RtspSourceSettings, context: ConnectorContext) -> str:
    """The URL to open; never log it. Raises InputError where the variable or file is missing."""
    if settings.credentials_file is not None:
        user, password = _from_file(context.path(settings.credentials_file))
    elif settings.username_env is not None:
        user = secret(settings.username_env, "username_env")
        password = secret(settings.password_env, "password_env") if settings.password_env else ""
    else:
        return settings.url
    parts = urlsplit(settings.url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))


def _from_file(path: Path) -> tuple[str, str]:
    try:
        line = path.read_text().splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        raise InputError(f"credentials_file: {path} cannot be read; write USER:PASSWORD on its first line") from None
    user, colon, password = line.partition(":")
    if not colon or not user:
        raise InputError(f"credentials_file: the first line of {path} is not USER:PASSWORD")
    return user, password

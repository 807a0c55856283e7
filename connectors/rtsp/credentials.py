"""The camera's address, user and password, out of the environment, a file or the URL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote

from connectors.context import ConnectorContext, secret
from connectors.rtsp.auth import Credentials
from connectors.rtsp.settings import RtspSourceSettings
from streamproc.core.errors import InputError


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """Where a camera is, and what opens it."""

    url: str
    """Without user and password."""
    host: str
    """Empty: the URL is none."""
    port: int
    secure: bool
    credentials: Credentials | None = field(default=None, repr=False)

    @classmethod
    def parsed(cls, url: str) -> CameraAddress:
        """Whatever the text is, nothing is raised.

        A password may hold ``#``, ``/`` and ``?`` as they are: where what stands before the first of them is no host and port, user and password
        reach to the last ``@``.
        """
        scheme, _, rest = url.partition("://")
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        userinfo = authority.rpartition("@")[0]
        if "@" not in authority and "@" in rest and not _HOST_PORT.fullmatch(authority):
            userinfo = rest.rpartition("@")[0]
        behind = rest[len(userinfo) + 1 :] if userinfo or rest.startswith("@") else rest
        match = _HOST_PORT.fullmatch(re.split(r"[/?#]", behind, maxsplit=1)[0])
        secure = scheme.lower() == "rtsps"
        port = int(match[2]) if match and match[2] else 322 if secure else 554
        user, _, password = userinfo.partition(":")
        found = Credentials(unquote(user), unquote(password)) if userinfo else None
        return cls(f"{scheme}://{behind}", match[1].strip("[]") if match and port < 65536 else "", port, secure, found)


_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s@:\[\]]+)(?::(\d{1,5}))?")


def camera_address(settings: RtspSourceSettings, context: ConnectorContext) -> CameraAddress:
    """Of the camera that the settings mean. Raises InputError where a variable or file is missing, or the URL has no host."""
    address = CameraAddress.parsed(settings.url)
    if not address.host:
        raise InputError(
            "url: there is no host in it; write rtsp://HOST[:PORT]/PATH, and give user and password by username_env"
        )
    if settings.credentials_file is not None:
        return replace(address, credentials=Credentials(*_from_file(context.path(settings.credentials_file))))
    if settings.username_env is not None:
        user = secret(settings.username_env, "username_env")
        password = secret(settings.password_env, "password_env") if settings.password_env else ""
        return replace(address, credentials=Credentials(user, password))
    return address


def url_with_credentials(settings: RtspSourceSettings, context: ConnectorContext) -> str:
    """The URL as FFmpeg wants it; never log it. Raises InputError as ``camera_address``."""
    address = camera_address(settings, context)
    if address.credentials is None:
        return address.url
    scheme, _, rest = address.url.partition("://")
    user, password = (quote(each, safe="") for each in (address.credentials.user, address.credentials.password))
    return f"{scheme}://{user}:{password}@{rest}"


def _from_file(path: Path) -> tuple[str, str]:
    try:
        line = path.read_text().splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        raise InputError(f"credentials_file: {path} cannot be read; write USER:PASSWORD on its first line") from None
    user, colon, password = line.partition(":")
    if not colon or not user:
        raise InputError(f"credentials_file: the first line of {path} is not USER:PASSWORD")
    return user, password

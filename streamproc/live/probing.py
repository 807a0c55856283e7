"""A look at a file or a camera before it becomes a processor's source: what it sends, and the settings that suit it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError

from connectors.context import ConnectorContext
from connectors.rtsp.connection import open_camera
from connectors.rtsp.credentials import url_with_credentials
from connectors.rtsp.settings import RtspSourceSettings
from streamproc.core.errors import InputError, SourceError
from streamproc.logic.redact import redact_url
from streamproc.media.probe import Probe, advice, probe_container, probe_file

PATIENCE_S = 12.0
"""How long a camera is listened to at most."""


def look_at_file(path: Path) -> tuple[Probe, dict[str, Any]]:
    """Facts of a clip, and a source block. Raises MediaError and InputError."""
    found = probe_file(path)
    suggested = {"type": "file", "path": str(path), "realtime": found.frames > 1}
    return dataclasses.replace(found, notes=advice(found, live=False)), suggested


def look_at_camera(source: dict[str, Any], patience_s: float = PATIENCE_S) -> tuple[Probe, dict[str, Any]]:
    """Facts of a camera, and a source block without a password. ``source``: an RTSP source block. Raises InputError and SourceError."""
    try:
        settings = RtspSourceSettings.model_validate({key: value for key, value in source.items() if key != "type"})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc'])) or 'url'}: {first['msg']}") from None
    address = url_with_credentials(settings, ConnectorContext(base_dir=Path.cwd()))
    shown = redact_url(settings.url)
    try:
        with open_camera(address, settings.transport, 10.0, thorough=True) as container:
            found = probe_container(container, shown, patience_s)
    except SourceError as error:
        raise type(error)(f"{shown}: {error}") from None
    return dataclasses.replace(found, notes=advice(found, live=True)), _suggested(source)


def _suggested(source: dict[str, Any]) -> dict[str, Any]:
    """A source block without a password in it."""
    parts = urlsplit(source["url"])
    if "@" not in parts.netloc:
        return source
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    names = {"username_env": "CAMERA_USER", "password_env": "CAMERA_PASSWORD"}
    return {**source, "url": bare, **{key: source.get(key, name) for key, name in names.items()}}

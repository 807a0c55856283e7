"""``streamproc probe``: what a file or camera sends, and the settings that suit it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import typer
import yaml

from streamproc.cli.output import errors_said, put, put_json

if TYPE_CHECKING:
    from streamproc.media.probe import Probe

PATIENCE_S = 12.0


def probe(
    url: Annotated[str, typer.Argument(help="A video file, or rtsp://...")],
    transport: Annotated[str, typer.Option(help="RTSP: tcp or udp.")] = "tcp",
    username_env: Annotated[str | None, typer.Option(help="Environment variable with the camera's user.")] = None,
    password_env: Annotated[str | None, typer.Option(help="Environment variable with the password.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Facts and suggested settings as JSON.")] = False,
) -> None:
    """Look at a feed: codec, size, frame rate, keyframes, and a source block to start from."""
    with errors_said():
        if re.match(r"rtsps?://", url, re.IGNORECASE):
            secrets = {"username_env": username_env, "password_env": password_env}
            source = {"type": "rtsp", "url": url, "transport": transport} | {k: v for k, v in secrets.items() if v}
            found, suggested = _camera(source)
        else:
            found, suggested = _file(Path(url))
    if as_json:
        put_json({"source": suggested.get("url", url), **found.as_dict(), "suggested": suggested})
        return
    _tell(found)
    put("")
    put(yaml.safe_dump({"source": suggested}, sort_keys=False).rstrip())


def _file(path: Path) -> tuple[Probe, dict[str, Any]]:
    from streamproc.media.probe import advice, probe_file

    found = probe_file(path)
    suggested = {"type": "file", "path": str(path), "realtime": found.frames > 1}
    return dataclasses.replace(found, notes=advice(found, live=False)), suggested


def _camera(source: dict[str, Any]) -> tuple[Probe, dict[str, Any]]:
    from pydantic import ValidationError

    from connectors.context import ConnectorContext
    from connectors.rtsp.connection import open_camera
    from connectors.rtsp.credentials import url_with_credentials
    from connectors.rtsp.settings import RtspSourceSettings
    from streamproc.core.errors import InputError, SourceError
    from streamproc.logic.redact import redact_url
    from streamproc.media.probe import advice, probe_container

    try:
        settings = RtspSourceSettings.model_validate({key: value for key, value in source.items() if key != "type"})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc'])) or 'url'}: {first['msg']}") from None
    address = url_with_credentials(settings, ConnectorContext(base_dir=Path.cwd()))
    shown = redact_url(settings.url)
    try:
        with open_camera(address, settings.transport, 10.0, thorough=True) as container:
            found = probe_container(container, shown, PATIENCE_S)
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


def _tell(found: Probe) -> None:
    """The facts, for people."""
    rate = "unknown" if found.fps is None else f"{found.fps:g} fps{' (varies)' if found.variable_fps else ''}"
    bits = "" if found.bit_rate is None else f", {found.bit_rate / 1e6:.2f} Mbit/s"
    profile = f" {found.profile}" if found.profile else ""
    put(f"video     {found.codec}{profile} {found.width}x{found.height}, {rate}{bits}")
    if found.rotation:
        put(f"rotation  {found.rotation} degrees")
    if found.mirrored:
        put("mirrored  left and right are exchanged")
    if found.gop_seconds is not None:
        put(
            f"keyframe  every {found.gop_seconds:g} s ({found.gop_frames:g} frames), at most {found.longest_gop_seconds:g} s"
        )
    sounds = ", ".join(f"{sound['codec']} {sound['sample_rate']} Hz" for sound in found.audio)
    put(f"audio     {sounds or 'none'}")
    put(f"container {found.container}" + (f", {found.duration_s:g} s" if found.duration_s else ""))
    for note in found.notes:
        put(f"note      {note}")

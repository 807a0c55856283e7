"""``streamproc probe``: what a file or camera sends, and the settings that suit it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from streamproc.cli.output import errors_said, put, put_json

if TYPE_CHECKING:
    from streamproc.media.probe import Probe


def probe(
    url: Annotated[str, typer.Argument(help="A video file, or rtsp://...")],
    transport: Annotated[str, typer.Option(help="RTSP: tcp or udp.")] = "tcp",
    username_env: Annotated[str | None, typer.Option(help="Environment variable with the camera's user.")] = None,
    password_env: Annotated[str | None, typer.Option(help="Environment variable with the password.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Facts and suggested settings as JSON.")] = False,
) -> None:
    """Look at a feed: codec, size, frame rate, keyframes, and a source block to start from."""
    with errors_said():
        from streamproc.live.probing import look_at_camera, look_at_file

        if re.match(r"rtsps?://", url, re.IGNORECASE):
            secrets = {"username_env": username_env, "password_env": password_env}
            source = {"type": "rtsp", "url": url, "transport": transport} | {k: v for k, v in secrets.items() if v}
            found, suggested = look_at_camera(source)
        else:
            found, suggested = look_at_file(Path(url))
    if as_json:
        put_json({"source": suggested.get("url", url), **found.as_dict(), "suggested": suggested})
        return
    _tell(found)
    put("")
    put(yaml.safe_dump({"source": suggested}, sort_keys=False).rstrip())


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

"""The video that a camera describes (SDP, RFC 4566; H.264 RFC 6184 section 8, H.265 RFC 7798 section 7)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from dataclasses import dataclass
from urllib.parse import urljoin

_CODECS = {"H264": "h264", "H265": "hevc", "HEVC": "hevc"}


@dataclass(frozen=True, slots=True)
class VideoMedia:
    """One m=video section that can be read here."""

    codec: str
    """FFmpeg's name."""
    payload_type: int
    clock_rate: int
    control: str
    """URL of its SETUP."""
    parameter_sets: tuple[bytes, ...]
    """NAL units out of band."""


@dataclass(frozen=True, slots=True)
class Description:
    """What there is."""

    video: VideoMedia | None
    """None: nothing that is read here."""
    control: str
    """URL of PLAY and TEARDOWN."""
    offered: tuple[str, ...]
    """Names of all video codecs."""


def described(body: bytes, base: str) -> Description:
    """``base``: Content-Base, Content-Location or the request's URL (RFC 2326 C.1.1). Whatever the bytes are, nothing is raised."""
    sections = re.split(r"(?m)^(?=m=)", body.decode("utf-8", "replace").replace("\r", ""))
    session = _control(_attributes(sections[0]).get("control", [""])[0], base)
    video, offered = None, []
    for section in sections[1:]:
        if not section.startswith("m=video"):
            continue
        attributes = _attributes(section)
        formats = section.partition("\n")[0].split()[3:]
        for number, name, rate in _maps(attributes, formats):
            offered.append(name)
            codec = _CODECS.get(name.upper())
            if codec is not None and video is None:
                parameters = _parameters(attributes.get("fmtp", []), number)
                sets = None if _interleaves(codec, parameters) else _sets(codec, parameters)
                if sets is not None:
                    control = _control(attributes.get("control", [""])[0], session)
                    video = VideoMedia(codec, number, rate, control, sets)
    return Description(video, session, tuple(offered))


def _attributes(section: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in section.split("\n"):
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _maps(attributes: dict[str, list[str]], formats: list[str]) -> list[tuple[int, str, int]]:
    """(payload type, encoding name, clock rate) of each format that has a map."""
    found = []
    for value in attributes.get("rtpmap", []):
        match = re.match(r"(\d{1,3})\s+([\w.\-]+)/(\d{1,9})", value)
        if match and match[1] in formats and int(match[1]) < 128 and int(match[3]) > 0:
            found.append((int(match[1]), match[2], int(match[3])))
    return found


def _parameters(lines: list[str], number: int) -> dict[str, str]:
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == str(number):
            pairs = (part.strip().partition("=") for part in rest.split(";"))
            return {name.lower(): value for name, _, value in pairs if name}
    return {}


def _interleaves(codec: str, parameters: dict[str, str]) -> bool:
    """Units in another order than that of decoding (RFC 6184 packetization-mode 2, RFC 7798 sprop-max-don-diff)."""
    if codec == "h264":
        return parameters.get("packetization-mode") == "2"
    return parameters.get("sprop-max-don-diff", "0") not in ("", "0")


def _sets(codec: str, parameters: dict[str, str]) -> tuple[bytes, ...]:
    names = ("sprop-parameter-sets",) if codec == "h264" else ("sprop-vps", "sprop-sps", "sprop-pps")
    found = []
    for name in names:
        for text in parameters.get(name, "").split(","):
            with contextlib.suppress(binascii.Error, ValueError):
                unit = base64.b64decode(text + "=" * (-len(text) % 4))
                if unit:
                    found.append(unit.removeprefix(b"\0\0\0\1"))
    return tuple(found)


def _control(value: str, base: str) -> str:
    """RFC 2326 C.1.1; a query in the base stays before a relative name, as cameras that have one want it."""
    if value in ("", "*"):
        return base
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.\-]*://", value):
        return value
    if value.startswith("/"):
        return urljoin(re.sub(r"^rtsps?", "http", base), value).replace("http", base.partition(":")[0], 1)
    return base + value if base.endswith("/") else f"{base}/{value}"

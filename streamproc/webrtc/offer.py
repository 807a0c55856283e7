"""An SDP offer before aiortc sees it: is it one, is it too much, can it be served? Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

MAX_BYTES = 256 * 1024
MAX_CANDIDATES = 500
MAX_SECTIONS = 32
CODECS = ("H264", "VP8")
"""What we take and give, the better first."""

_FINGERPRINT = re.compile(r"(?m)^a=fingerprint:\S+ [0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+ *$")
_RTPMAP = re.compile(r"^a=rtpmap:(\d+) ([A-Za-z0-9.-]+)/90000", re.MULTILINE)
_FMTP = re.compile(r"^a=fmtp:(\d+) ([^\r\n]*)", re.MULTILINE)
_DIRECTION = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)$", re.MULTILINE)


class OfferRefused(Exception):
    """With the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that is worth an answer."""

    sdp: str
    """Only with candidates that are worth a try: UDP, with an address instead of a name."""
    codecs: tuple[str, ...]
    """Of CODECS, those that are in its video section."""
    video: int
    """Index of the video section that is served."""
    candidates: int


def read_offer(body: bytes, wants: Literal["send", "receive"]) -> Offer:
    """``wants``: what the peer must want to do with its video. Raises OfferRefused (400, 413 or 422)."""
    if len(body) > MAX_BYTES:
        raise OfferRefused(413, f"the offer is larger than {MAX_BYTES // 1024} KB")
    text = _text(body)
    head, *sections = re.split(r"(?m)^(?=m=)", text)
    candidates = text.count("\na=candidate:")
    if candidates > MAX_CANDIDATES:
        raise OfferRefused(413, f"the offer has {candidates} candidates; at most {MAX_CANDIDATES} are taken")
    if len(sections) > MAX_SECTIONS:
        raise OfferRefused(413, f"the offer has {len(sections)} media sections; at most {MAX_SECTIONS} are taken")
    video = [index for index, section in enumerate(sections) if section.startswith("m=video ")]
    if not video:
        raise OfferRefused(422, "there is no video in the offer; only video is served")
    _check_transport(head, sections)
    asked = ("sendonly", "sendrecv") if wants == "send" else ("recvonly", "sendrecv")
    willing = [index for index in video if _direction(head, sections[index]) in asked]
    if not willing:
        raise OfferRefused(422, f"the offer's video must be {' or '.join(asked)}")
    for index in willing:
        names = {name.upper() for _, name in _RTPMAP.findall(sections[index])}
        if "H264" in names and not _has_usable_h264(sections[index]):
            names.discard("H264")
        codecs = tuple(name for name in CODECS if name in names)
        if codecs:
            return Offer(_without_useless_candidates(text), codecs, index, candidates)
    raise OfferRefused(422, "the offer's video has neither H.264 with packetization-mode=1 nor VP8; offer one of them")


def read_fragment(body: bytes) -> list[tuple[str | None, str]]:
    """Candidates of a trickle ICE fragment (RFC 8840), each with its section's mid. Raises OfferRefused."""
    if len(body) > MAX_BYTES:
        raise OfferRefused(413, f"the fragment is larger than {MAX_BYTES // 1024} KB")
    found: list[tuple[str | None, str]] = []
    mid = None
    for line in body.decode("utf-8", "replace").splitlines():
        if line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:").strip()
        elif line.startswith("a=candidate:") and is_usable(line):
            found.append((mid, line.removeprefix("a=")))
    if len(found) > MAX_CANDIDATES:
        raise OfferRefused(413, f"the fragment has {len(found)} candidates; at most {MAX_CANDIDATES} are taken")
    return found


def is_usable(line: str) -> bool:
    """Whether a candidate is worth a try. Names (also .local ones) are not resolved: whoever hides behind one reaches us
    first, and its address is learned from that (RFC 8445 section 7.3.1.3)."""
    words = line.split()
    if len(words) < 8 or words[2].lower() != "udp" or not words[5].isdigit() or not 0 < int(words[5]) < 65536:
        return False
    if not words[1].isdigit() or not words[3].isdigit() or words[6] != "typ":
        return False
    try:
        address = ipaddress.ip_address(words[4])
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)


def _text(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise OfferRefused(400, "the body is no SDP: it is not UTF-8 text") from None
    text = text.replace("\r\n", "\n")
    if not text.strip():
        raise OfferRefused(400, "the body is empty; send an SDP offer")
    if not text.startswith("v=0\n") or "\nm=" not in text:
        raise OfferRefused(400, "the body is no SDP offer")
    return text if text.endswith("\n") else text + "\n"


def _check_transport(head: str, sections: list[str]) -> None:
    """aiortc wants ICE and DTLS parameters in every section."""
    for section in sections:
        if re.match(r"m=(audio|video) 0 ", section) and "a=bundle-only" not in section:
            continue
        for name in ("ice-ufrag", "ice-pwd", "fingerprint"):
            if f"\na={name}:" not in section and f"\na={name}:" not in head:
                raise OfferRefused(400, f"the offer is broken: a={name} is missing")
        if not _FINGERPRINT.search(section) and not _FINGERPRINT.search(head):
            raise OfferRefused(400, "the offer is broken: a=fingerprint cannot be read")


def _has_usable_h264(section: str) -> bool:
    """Whether a payload type has packetization-mode=1: without it, it is 0 (RFC 6184 section 8.1), in which pictures larger than a
    datagram cannot be sent."""
    types = [number for number, name in _RTPMAP.findall(section) if name.upper() == "H264"]
    parameters = dict(_FMTP.findall(section))
    return any(re.search(r"(^|[; ])packetization-mode=1($|[; ])", parameters.get(number, "")) for number in types)


def _direction(head: str, section: str) -> str:
    found = _DIRECTION.search(section) or _DIRECTION.search(head)
    return found.group(1) if found else "sendrecv"


def _without_useless_candidates(text: str) -> str:
    lines = []
    for line in text.split("\n"):
        if line.startswith("a=candidate:") and not is_usable(line):
            continue
        # Whoever announces the end of candidates may still reach us from an address that none of them had.
        if line == "a=end-of-candidates":
            continue
        lines.append(line)
    return "\r\n".join(lines)

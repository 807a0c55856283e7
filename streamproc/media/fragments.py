"""Self-contained pieces of video out of a durable log: Matroska, MPEG-TS, fragmented MP4, or a single picture."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from streamproc.core.errors import MediaError
from streamproc.logic.timeline import STEP, Timeline
from streamproc.media.demux import VideoTrack, media_errors, open_container, reason, seconds, shown_for, video_track
from streamproc.media.mpegts import layout_at

_MP4_BOXES = frozenset(
    (
        b"ftyp",
        b"styp",
        b"moov",
        b"moof",
        b"sidx",
        b"emsg",
        b"prft",
        b"free",
        b"skip",
        b"wide",
        b"mdat",
        b"pnot",
        b"udta",
        b"uuid",
    )
)
"""Boxes that may stand first in a file or segment (ISO/IEC 14496-12; wide and pnot are QuickTime's)."""
STILLS = {"jpeg_pipe", "png_pipe"}


@dataclass(frozen=True, slots=True)
class Unit:
    """One access unit of a fragment."""

    raw: Any
    """``av.Packet``."""
    offset: Fraction
    """Seconds from the fragment's first frame; negative for frames that only later ones need."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a message holds."""

    track: VideoTrack
    units: tuple[Unit, ...]
    """In decode order, at least one."""
    first_pts: Fraction
    """The container's own time of the first frame, seconds."""
    duration: Fraction
    """Seconds from its first frame to the end of its last."""
    is_still: bool
    damage: str | None
    """Why it could not be read to its end, if so."""


def sniff(data: bytes) -> str | None:
    """FFmpeg's name of the container, by its first bytes. Only these are ever opened: a playlist could name other files."""
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if data[4:8] in _MP4_BOXES:
        return "mp4"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg_pipe"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png_pipe"
    if layout_at(data) is not None:
        return "mpegts"
    return None


def read_fragment(data: bytes, name: str) -> Fragment:
    """Take a fragment apart. ``name`` is for errors. Raises MediaError where there is no video in it."""
    container_format = sniff(data)
    if container_format is None:
        raise MediaError(f"{name}: neither Matroska, MPEG-TS, fragmented MP4 nor a JPEG")
    with media_errors(name):
        container = open_container(io.BytesIO(data), container_format=container_format)
    with container:
        stream, track = video_track(container, name, writable=True)
        packets, damage = _packets(container, stream)
    if not packets:
        raise MediaError(f"{name}: no picture in it{f': {damage}' if damage else ''}")
    return _fragment(track, packets, container_format in STILLS, damage)


def _packets(container: Any, stream: Any) -> tuple[list[Any], str | None]:
    found = []
    try:
        for packet in container.demux(stream):
            if packet.size:
                found.append(packet)
    except av.FFmpegError as error:
        return found, reason(error)
    return found, None


def _fragment(track: VideoTrack, packets: list[Any], is_still: bool, damage: str | None) -> Fragment:
    timeline = Timeline()
    placed = []
    for packet in packets:
        base = packet.time_base
        media = timeline.place(
            seconds(packet.pts, base),
            seconds(packet.dts, base),
            shown_for(track.context, packet),
            keyframe=packet.is_keyframe,
        )
        placed.append((packet, media))
    first = next((media for packet, media in placed if packet.is_keyframe), placed[0][1])
    shown = sorted(media for _, media in placed if media >= first)
    opening = packets[0].pts if packets[0].pts is not None else packets[0].dts
    start = (seconds(opening, packets[0].time_base) or Fraction(0)) + first - placed[0][1]
    last_step = _last_step(packets, shown)
    units = tuple(Unit(packet, media - first) for packet, media in placed)
    duration = Fraction(0) if is_still else shown[-1] - first + last_step
    return Fragment(track, units, start, duration, is_still, damage)


def _last_step(packets: list[Any], shown: list[Fraction]) -> Fraction:
    """How long the last frame is seen."""
    if len(shown) > 1:
        return shown[-1] - shown[-2]
    told = seconds(packets[-1].duration, packets[-1].time_base)
    return told if told else STEP

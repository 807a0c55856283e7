"""Opening media and naming what is in it; FFmpeg's errors become ours, without anybody's password."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
from av.stream import Discard, Disposition

from streamproc.core.errors import MediaError
from streamproc.logic.redact import redact
from streamproc.logic.timeline import SHORTEST_STEP

# FFmpeg's own log lines hold URLs with passwords; its errors reach us as exceptions.
av.logging.set_level(None)

RESTARTING_FORMATS = {"mpegts", "mpegtsraw", "mpeg", "hls", "rtsp", "sdp", "flv", "live_flv"}
"""Formats whose clock may jump in mid-stream (FFmpeg's AVFMT_TS_DISCONT, and live ones)."""
_LISTS = frozenset({"hls", "applehttp", "dash", "concat", "sdp", "rtsp", "rtp"})
"""Formats that name other files or hosts."""


MAX_PIXELS = 120_000_000
"""Of one picture. A header of a few bytes may claim any size, and a decoder asks for the memory of it."""
DECODER_LIMITS = {"max_pixels": str(MAX_PIXELS)}
"""Options of every decoder."""


@dataclass(frozen=True, eq=False, slots=True)
class VideoTrack:
    """The video stream of one opened container: what a decoder must know. Outlives the container."""

    codec: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction | None
    """Average frames a second, where known."""
    context: Any
    """The stream's own ``av.VideoCodecContext``; used by one decoder."""
    aspect: Fraction | None = None
    """Width over height of one stored pixel; None: not said, so square."""
    template: Any = None
    """A stream to write its packets like; None where nobody asked for it."""


@dataclass(frozen=True, eq=False, slots=True)
class Coded:
    """What ``core.media.Packet.data`` holds."""

    packet: Any
    """``av.Packet``."""
    track: VideoTrack


@contextlib.contextmanager
def media_errors(name: str) -> Iterator[None]:
    """FFmpeg's errors as MediaError that names ``name``."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{redact(name)}: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """An FFmpeg or system error in a few words, with no address or password in it."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return redact(words)


def open_container(
    file: Any, options: Mapping[str, str] | None = None, timeout: Any = None, container_format: str | None = None
) -> Any:
    """``av.open`` for reading. Raises what FFmpeg raises; see ``media_errors``.

    A file that exists is a file, whatever FFmpeg would take the beginning of its name for (``10:22:33.mp4`` has no protocol ``10``).
    """
    if isinstance(file, str) and ":" in file.partition("/")[0] and Path(file).is_file():
        file = str(Path(file).absolute())
    return av.open(
        file,
        options={**DECODER_LIMITS, **(options or {})},
        timeout=timeout,
        format=container_format,
        metadata_errors="replace",
    )


def open_file(file: Any) -> Any:
    """``open_container`` of one video: a path or a seekable binary file object.

    Raises MediaError where it is a list, whatever it is called: whoever may put a file somewhere may not have this node read others or ask
    other hosts.
    """
    container = open_container(file, {"protocol_whitelist": "file"})
    if _LISTS & set(str(container.format.name).split(",")):
        container.close()
        raise MediaError(f"{redact(str(file))}: a list of other files or hosts; name the video itself")
    return container


def video_track(container: Any, name: str, writable: bool = False) -> tuple[Any, VideoTrack]:
    """The best video stream and what it holds; all others are discarded while reading. Raises MediaError where there is none.

    ``writable``: its packets are also to be written to other containers as they are.
    """
    streams = [stream for stream in container.streams.video if not _is_cover(stream)] or list(container.streams.video)
    if not streams:
        raise MediaError(f"{redact(name)}: there is no video in it")
    stream = max(streams, key=lambda stream: (stream.width or 0) * (stream.height or 0))
    if stream.codec_context is None:
        raise MediaError(f"{redact(name)}: its video codec is not known")
    stream.codec_context.options = DECODER_LIMITS
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream, VideoTrack(
        codec=stream.codec_context.codec.canonical_name,
        width=stream.width or 0,
        height=stream.height or 0,
        time_base=stream.time_base or Fraction(1, 90_000),
        rate=stream.average_rate or stream.guessed_rate or None,
        context=stream.codec_context,
        aspect=stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or None,
        template=_template(stream) if writable else None,
    )


def seconds(value: int | None, time_base: Fraction | None) -> Fraction | None:
    """A timestamp in seconds."""
    return None if value is None or time_base is None else value * time_base


def shown_for(context: Any, packet: Any) -> Fraction | None:
    """Seconds until the next picture is due: the packet's own word, or what the coded video says of its rate where that is absurd or missing."""
    told = seconds(packet.duration, packet.time_base)
    if told is not None and told >= SHORTEST_STEP:
        return told
    rate = context.framerate
    return 1 / Fraction(rate) if rate and 1 / Fraction(rate) >= SHORTEST_STEP else told


def lead(stream: Any, packet: Any) -> Fraction:
    """Seconds from a packet to the first picture that is shown, where an edit list hides what comes before: a clip that was cut without encoding
    begins with the keyframe before the cut.
    """
    if not packet.is_discard or packet.pts is None or stream.start_time is None:
        return Fraction(0)
    return Fraction(max(0, stream.start_time - packet.pts) * stream.time_base)


def with_template(track: VideoTrack, keyframe: bytes) -> VideoTrack:
    """A track of which only packets are known (VP8, or Annex B with parameter sets in band), such that it can be written. Raises MediaError."""
    if track.codec == "vp8":
        return replace(track, template=_vp8_template(keyframe))
    if track.codec not in ("h264", "hevc"):
        raise MediaError(f"{track.codec} without a description of its track cannot be written as it is")
    with (
        media_errors(f"a keyframe of {track.codec}"),
        open_container(io.BytesIO(keyframe), container_format=track.codec) as container,
    ):
        template = _template(container.streams.video[0])
    if template is None:
        raise MediaError(f"a keyframe of {track.codec} without parameter sets")
    return replace(track, template=template)


def _vp8_template(keyframe: bytes) -> Any:
    """Of the size that a keyframe's header says (RFC 6386 9.1); there is nothing else to be described."""
    if len(keyframe) < 10 or keyframe[3:6] != b"\x9d\x01\x2a":
        raise MediaError("a keyframe of vp8 without its start code")
    width, height = (int.from_bytes(keyframe[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    with media_errors("a keyframe of vp8"):
        container = av.open(io.BytesIO(), "w", format="matroska")
        return container.add_stream("vp8", width=width, height=height, pix_fmt="yuv420p")


def _template(stream: Any) -> Any:
    """A stream of a container of our own: it outlives the one that was read. None where no such container takes the codec."""
    try:
        return av.open(io.BytesIO(), "w", format="matroska").add_stream_from_template(stream)
    except (av.FFmpegError, ValueError):
        return None


def _is_cover(stream: Any) -> bool:
    """An attached picture (album art) is not the film."""
    return bool(stream.disposition & Disposition.attached_pic)

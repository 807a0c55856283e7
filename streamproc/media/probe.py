"""What a feed is made of, and what to do about it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from streamproc.core.errors import MediaError
from streamproc.media.demux import VideoTrack, media_errors, open_file, seconds, video_track
from streamproc.media.picture import PLANAR, AvPicture

MAX_PACKETS = 30_000
LONG_GOP_S = 4.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Facts of a feed. Sizes are of the upright picture."""

    container: str
    codec: str
    profile: str | None
    pixel_format: str | None
    width: int
    height: int
    rotation: int
    """Degrees counter-clockwise that the stored picture is turned to stand upright."""
    mirrored: bool
    """Whether left and right of the stored picture are exchanged before it is turned."""
    fps: float | None
    """Measured."""
    variable_fps: bool
    duration_s: float | None
    frames: int
    """Counted in what was read."""
    gop_frames: float | None
    """Mean pictures from one keyframe to the next."""
    gop_seconds: float | None
    longest_gop_seconds: float | None
    bit_rate: int | None
    """Bits a second, of the video that was read."""
    reordered: bool
    """Whether it has B-frames: they cost a camera latency."""
    audio: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = field(default=())
    """Advice, in sentences."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(slots=True)
class _Tally:
    """What demuxing showed."""

    times: list[Fraction] = field(default_factory=list)
    keyframes: list[tuple[int, Fraction]] = field(default_factory=list)
    size: int = 0
    reordered: bool = False


def probe_file(path: Path) -> Probe:
    """Reads the packets of the whole file, decodes one picture. Raises MediaError where there is no video."""
    if not path.is_file():
        raise MediaError(f"{path}: {'this is no file' if path.exists() else 'there is no such file'}; name a video")
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: the file is empty")
    with media_errors(str(path)):
        container = open_file(str(path))
    with container:
        return probe_container(container, str(path))


def probe_container(container: Any, name: str, patience_s: float | None = None) -> Probe:
    """Facts of an opened container. ``patience_s``: stop after so long, or after a few keyframes (a camera never ends)."""
    stream, track = video_track(container, name)
    picture: AvPicture | None = None
    tally = _Tally()
    begun = time.monotonic()
    try:
        for packet in container.demux(stream):
            if packet.size:
                picture = picture or _first_picture(track, packet)
                _count(tally, packet)
            enough = patience_s is not None and (time.monotonic() - begun > patience_s or len(tally.keyframes) > 3)
            if enough or len(tally.times) >= MAX_PACKETS:
                break
    except av.FFmpegError as error:
        if not tally.times:
            raise MediaError(f"{name}: no picture could be read: {type(error).__name__}") from None
    if not tally.times:
        raise MediaError(f"{name}: there is no picture in it")
    if picture is None:
        for frame in track.context.decode(None):
            picture = AvPicture(frame, track.aspect)
            break
    if picture is None and patience_s is None:
        raise MediaError(f"{name}: it holds no pictures that can be decoded")
    return _summary(container, stream, tally, picture)


def _first_picture(track: VideoTrack, packet: Any) -> AvPicture | None:
    try:
        return next((AvPicture(frame, track.aspect) for frame in track.context.decode(packet)), None)
    except av.FFmpegError:
        return None


def _count(tally: _Tally, packet: Any) -> None:
    when = seconds(packet.pts if packet.pts is not None else packet.dts, packet.time_base)
    if when is None:
        when = tally.times[-1] if tally.times else Fraction(0)
    if packet.is_keyframe:
        tally.keyframes.append((len(tally.times), when))
    tally.reordered |= packet.pts is not None and packet.dts is not None and packet.pts > packet.dts
    tally.times.append(when)
    tally.size += packet.size


def _summary(container: Any, stream: Any, tally: _Tally, picture: AvPicture | None) -> Probe:
    context = stream.codec_context
    times = sorted(tally.times)
    steps = [float(b - a) for a, b in pairwise(times) if b > a]
    span = float(times[-1] - times[0])
    fps = len(steps) / span if steps and span > 0 else None
    if not fps and stream.average_rate and len(times) > 1:
        fps = float(stream.average_rate)
    gops = [(b[0] - a[0], float(b[1] - a[1])) for a, b in pairwise(tally.keyframes)]
    length = span + (span / len(steps) if steps else 0)
    return Probe(
        container=container.format.name,
        codec=context.codec.canonical_name,
        profile=context.profile,
        pixel_format=None if picture is None else picture.frame.format.name,
        width=picture.width if picture else stream.width or 0,
        height=picture.height if picture else stream.height or 0,
        rotation=0 if picture is None else picture.orientation.degrees,
        mirrored=picture is not None and picture.orientation.mirrored,
        fps=None if fps is None else round(fps, 3),
        variable_fps=bool(steps) and max(steps) > 1.5 * sorted(steps)[len(steps) // 2],
        duration_s=round(container.duration / av.time_base, 3) if container.duration else round(length, 3) or None,
        frames=len(times),
        gop_frames=round(sum(frames for frames, _ in gops) / len(gops), 1) if gops else None,
        gop_seconds=round(sum(gap for _, gap in gops) / len(gops), 3) if gops else None,
        longest_gop_seconds=round(max(gap for _, gap in gops), 3) if gops else None,
        bit_rate=round(tally.size * 8 / length) if length > 0 else None,
        reordered=tally.reordered,
        audio=tuple(_audio(sound) for sound in container.streams.audio),
    )


def _audio(stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    return {
        "codec": None if context is None else context.codec.canonical_name,
        "sample_rate": None if context is None else context.sample_rate,
        "channels": None if context is None else context.channels,
    }


def advice(probe: Probe, live: bool) -> tuple[str, ...]:
    """Sentences for whoever sets the camera up."""
    found = []
    gop = probe.longest_gop_seconds
    if live and (gop is None or gop > LONG_GOP_S):
        found.append(
            "keyframes are more than 4 s apart; set the camera's keyframe interval to 1-2 s, so that it is seen again sooner after "
            "a gap"
        )
    if live and probe.reordered:
        found.append("it sends B-frames, which cost latency; use the camera's baseline or main profile without them")
    if probe.width * probe.height > 1920 * 1088:
        found.append("more than 1080p costs decoding time and finds little more; take the camera's second stream")
    if probe.fps is not None and probe.fps < 5:
        found.append(f"it has {probe.fps:g} frames a second; more than that cannot be looked at")
    if probe.pixel_format is not None and probe.pixel_format not in PLANAR:
        found.append(f"its pixel format {probe.pixel_format} is converted the slow way")
    return tuple(found)

"""What is known of a stored video before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from streamproc.logic.smpte import STANDARD_RATES, floor_ms, snap_rate

_FULL_RANGE = 2


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """One audio stream."""

    codec: str
    duration_ms: int
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What the service's VideoMetadata and AudioMetadata tell, and the exact rate."""

    codec: str
    format: str
    duration_ms: int
    rate: Fraction
    """Frames a second; a standard rate where the container's is a rounding of one."""
    width: int
    height: int
    """Of the upright picture."""
    full_range: bool
    audio: tuple[AudioFacts, ...] = ()


def facts_of(stream: Any, container: Any, turned: bool) -> VideoFacts:
    """Of the film of an opened container. ``turned``: it stands upright only when turned by a quarter."""
    duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    if duration is None:
        duration = Fraction(container.duration or 0, 1_000_000)
    width, height = stream.width, stream.height
    context = stream.codec_context
    return VideoFacts(
        codec=_codec(context),
        format=str(container.format.long_name),
        duration_ms=floor_ms(Fraction(duration)),
        rate=_rate(stream, container.format.name),
        width=height if turned else width,
        height=width if turned else height,
        full_range=int(context.color_range or 0) == _FULL_RANGE or str(context.pix_fmt).startswith("yuvj"),
        audio=tuple(
            _audio_facts(each, container) for each in container.streams.audio if each.codec_context is not None
        ),
    )


def _audio_facts(stream: Any, container: Any) -> AudioFacts:
    duration = Fraction(container.duration or 0, 1_000_000)
    if stream.duration and stream.time_base:
        duration = stream.duration * stream.time_base
    context = stream.codec_context
    return AudioFacts(_codec(context), floor_ms(duration), int(context.sample_rate), int(context.channels))


def _codec(context: Any) -> str:
    """The codec's own name, whichever decoder reads it."""
    return str(context.codec.canonical_name or context.name)


def _rate(stream: Any, container_format: str) -> Fraction:
    """Frames a second. A fragmented file's average is one of few frames; there the rate of its clock is near it and better."""
    if container_format == "avi" and stream.guessed_rate:
        # AVI has no timestamps, its "average" is the header's tick: FFmpeg writes H.264 in ticks of half a frame.
        return snap_rate(Fraction(stream.guessed_rate))
    average = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
    steady = Fraction(stream.base_rate or average)
    near = abs(steady - average) <= steady / 100 and snap_rate(steady) in STANDARD_RATES
    return snap_rate(steady if near else Fraction(average))

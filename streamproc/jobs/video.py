"""A stored video, read once from front to back: frames with their true times, and how loud it is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.errors import MediaError
from streamproc.logic.smpte import STANDARD_RATES, floor_ms, snap_rate
from streamproc.media.demux import open_file
from streamproc.media.orientation import Orientation
from streamproc.media.picture import AvPicture

UNSUPPORTED = "Unsupported codec/format."
"""The service's words for a video that cannot be decoded."""
_FULL_RANGE = 2
_SEEK_MARGIN = Fraction(1)
_MAX_ERRORS = 5_000
_PEEKED = 100
"""Packets that are looked through for a first picture."""


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


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture of a stored video."""

    index: int
    """0, 1, 2... in display order."""
    at: Fraction
    """Presentation time in seconds from the first frame."""
    picture: AvPicture
    raw: Any
    """The ``av.VideoFrame``."""
    memo: dict[str, Any] = field(default_factory=dict)
    """What one analysis of a run found in this frame and another need not find again, by whatever found it."""

    @property
    def milliseconds(self) -> int:
        return floor_ms(self.at)

    def luma_sample(self, width: int = 320) -> npt.NDArray[np.uint8]:
        """Brightness of every Nth pixel (not upright, no smoothing, the stream's own range)."""
        raw = self.raw
        step = max(1, raw.width // width)
        if raw.format.name in ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray", "nv12"):
            plane = raw.planes[0]
            return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: raw.height : step, : raw.width : step]
        planar = raw.reformat(format="yuv420p").planes[0]
        return np.frombuffer(planar, np.uint8).reshape(-1, planar.line_size)[: raw.height : step, : raw.width : step]

    def thumb(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        """(height, width, 3) BGR, stretched to exactly that size."""
        small = self.picture.bgr(width, height)
        if small.shape[:2] == (height, width):
            return small
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading was interrupted: everything up to here is done."""

    index: int
    at: Fraction
    origin: Fraction
    """Presentation time of the first frame by the container's clock."""
    heard: Mapping[int, Fraction]
    """By number of the audio stream: sound that begins up to this time is done."""
    regular: bool = True
    """Every frame so far had a timestamp later than the one before, so that a timestamp says where to go on; else frames are counted."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Loudness of a moment of one stream, RMS over its channels in dB of full scale."""

    start: Fraction
    end: Fraction
    level: float
    stream: int
    """Its number in the file."""


class StoredVideo:
    """One opened video. Iterate ``items`` once. Raises MediaError with the service's words where it cannot be decoded."""

    def __init__(
        self,
        file: Any,
        name: str,
        *,
        threads: int = 2,
        check: Callable[[], None] = lambda: None,
        reading: AbstractContextManager[None] | None = None,
    ) -> None:
        """``file``: a path, URL or seekable binary file object. ``name``: for messages, without credentials.

        ``check`` raises SourceError if the bytes ran out before their end; FFmpeg takes that for the end of the video.
        ``reading``: entered around every later call that waits for the file.
        """
        self.name = name
        self._check = check
        self._reading = reading or contextlib.nullcontext()
        turned, origin = _peek(file)
        try:
            self._container = open_file(file)
        except (av.FFmpegError, OSError, ValueError, MediaError):
            raise MediaError(UNSUPPORTED) from None
        try:
            self._open(threads, turned, origin)
        except BaseException:
            self._container.close()
            raise

    def _open(self, threads: int, turned: bool, origin: Fraction | None) -> None:
        self._stream = _film(self._container)
        if self._stream is None:
            raise MediaError(UNSUPPORTED)
        self._stream.codec_context.thread_count = threads
        self._stream.thread_type = "AUTO"
        self._aspect = self._stream.sample_aspect_ratio or None
        self._audio = [s for s in self._container.streams.audio if s.codec_context is not None]
        self.origin = origin
        self.regular = True
        """So far; see ``Place.regular``."""
        self.facts = self._facts(turned)

    def _facts(self, turned: bool) -> VideoFacts:
        stream, container = self._stream, self._container
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
            audio=tuple(self._audio_facts(stream) for stream in self._audio),
        )

    def _audio_facts(self, stream: Any) -> AudioFacts:
        duration = Fraction(self._container.duration or 0, 1_000_000)
        if stream.duration and stream.time_base:
            duration = stream.duration * stream.time_base
        context = stream.codec_context
        return AudioFacts(_codec(context), floor_ms(duration), int(context.sample_rate), int(context.channels))

    @property
    def expected_frames(self) -> int:
        """By the container; 0 where it does not say."""
        return int(self._stream.frames or 0) or int(self.facts.duration_ms * self.facts.rate / 1000)

    def close(self) -> None:
        with self._reading:
            self._container.close()

    def ended(self, last: Fraction) -> None:
        """All was read and ``last`` is the time of the last frame: now it is known how long a video is whose container does not say."""
        if self.facts.duration_ms == 0:
            self.facts = replace(self.facts, duration_ms=floor_ms(last + 1 / self.facts.rate))

    def items(self, *, sound: bool = False, after: Place | None = None) -> Iterator[VideoFrame | Sound]:
        """Frames in display order, and loudness where ``sound`` is wanted, in the order of the file.

        ``after``: go on behind that place. Damaged parts are passed over, as a player does.
        """
        streams = [self._stream, *(self._audio if sound else [])]
        index, last = (after.index, after.at) if after else (-1, None)
        heard = after.heard if after else {}
        behind = 0
        if after is not None:
            self.origin, self.regular = after.origin, after.regular
            if after.regular:
                self._seek(after)
            else:
                behind = after.index + 1
        for number, frame in self._frames(streams):
            if isinstance(frame, av.AudioFrame):
                spell = self._sound(frame, number)
                if spell is not None and (spell.stream not in heard or spell.start > heard[spell.stream]):
                    yield spell
                continue
            at = self._time(frame, last)
            if behind > 0:
                behind -= 1
                continue
            if after is not None and after.regular and at <= after.at:
                continue
            if last is not None and at <= last:
                self.regular = False
                at = last + 1 / self.facts.rate
            index, last = index + 1, at
            yield VideoFrame(index, at, AvPicture(frame, self._aspect), frame)

    def _seek(self, place: Place) -> None:
        # Back behind what is done by a margin: sound lags behind pictures in the file, and decoders need a run-up.
        target = min([place.at, *(max(at, Fraction(0)) for at in place.heard.values())]) - _SEEK_MARGIN + place.origin
        with contextlib.suppress(av.FFmpegError), self._reading:
            self._container.seek(int(max(target, Fraction(0)) * 1_000_000), backward=True, any_frame=False)

    def _time(self, frame: Any, last: Fraction | None) -> Fraction:
        stamp = _stamp(frame, self._container)
        if stamp is None:
            self.regular = False
            return (last + 1 / self.facts.rate) if last is not None else Fraction(0)
        if self.origin is None:
            self.origin = stamp
        return stamp - self.origin

    def _sound(self, frame: Any, number: int) -> Sound | None:
        if frame.pts is None or frame.time_base is None or not frame.samples:
            return None
        data = frame.to_ndarray()
        values = data.astype(np.float32)
        if data.dtype.kind == "i":
            values /= float(np.iinfo(data.dtype).max)
        elif data.dtype.kind == "u":
            values = (values - 128) / 128
        power = float(np.mean(values * values))
        start = Fraction(frame.pts * frame.time_base) - (self.origin or Fraction(0))
        end = start + Fraction(frame.samples, frame.sample_rate)
        return Sound(start, end, 10 * float(np.log10(power + 1e-12)), number)

    def _frames(self, streams: list[Any]) -> Iterator[tuple[int, Any]]:
        """Decoded frames of the chosen streams, each with its stream's number; what cannot be decoded is left out."""
        errors = 0
        packets = self._container.demux(*streams)
        while True:
            try:
                with self._reading:
                    packet = next(packets, None)
            except (av.FFmpegError, OSError):
                self._check()
                return
            if packet is None:
                self._check()
                return
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                errors += packet.stream is self._stream  # sound that is broken leaves the pictures
                if errors > _MAX_ERRORS:
                    raise MediaError(UNSUPPORTED) from error
                continue
            for frame in frames:
                yield packet.stream.index, frame


def _film(container: Any) -> Any:
    """The largest video stream that is no cover picture; None where there is none that could be decoded."""
    films = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not films or films[0].codec_context is None:
        return None
    return max(films, key=lambda stream: (stream.width or 0) * (stream.height or 0))


def _stamp(frame: Any, container: Any) -> Fraction | None:
    """When a picture is shown, by its container's clock; None where that is not said."""
    # AVI counts pictures in the order in which they are decoded: with B frames what was due when a picture left the decoder is its time.
    ticks = frame.dts if container.format.name == "avi" else frame.pts
    return None if ticks is None or frame.time_base is None else Fraction(ticks * frame.time_base)


def _peek(file: Any) -> tuple[bool, Fraction | None]:
    """What only the first frame tells and is wanted before it: whether pictures stand upright only when turned by a quarter, as a
    phone's do (models are chosen by that), and its presentation time (sound that comes before it is placed by that).

    Leaves ``file`` at its start. Where nothing can be decoded, reading says why.
    """
    turned, origin = False, None
    with contextlib.suppress(av.FFmpegError, OSError, ValueError, MediaError), open_file(file) as container:
        film = _film(container)
        for packet in itertools.islice(container.demux(film), _PEEKED) if film is not None else ():
            frames = packet.decode()
            if frames:
                turned = Orientation.of_frame(frames[0]).transposed
                origin = _stamp(frames[0], container)
                break
    if hasattr(file, "seek"):
        file.seek(0)
    return turned, origin


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

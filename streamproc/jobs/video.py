"""A stored video, read once from front to back: frames with their true times, and how loud it is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.errors import MediaError
from streamproc.jobs.video_facts import VideoFacts, facts_of
from streamproc.logic.smpte import floor_ms
from streamproc.media.coded_parts import BORDERS, CodedParts, FilePart
from streamproc.media.demux import DECODER_LIMITS, open_file
from streamproc.media.orientation import Orientation
from streamproc.media.picture import AvPicture

UNSUPPORTED = "Unsupported codec/format."
"""The service's words for a video that cannot be decoded."""
_SEEK_MARGIN = Fraction(1)
_MAX_ERRORS = 5_000
_PEEKED = 100
"""Packets that are looked through for a first picture."""


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
    part: int = 0
    """Of a video that changes its coding midway. ``origin`` and ``regular`` are of this part."""
    frames_before: int = 0
    """Frames of the parts before."""


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
        self._file = file
        self._threads = threads
        self._parts: CodedParts | None = None
        """Where there are several."""
        self._part, self._frames_before = 0, 0
        self._index, self._last = -1, Fraction(0)
        self.facts: VideoFacts
        self._turn_to(0)
        container_format = self._container.format.name.split(",")[0]
        if container_format in BORDERS:
            parts = CodedParts(self._opened, container_format)
            self._parts = parts if len(parts) > 1 else None
        if self._parts is not None:
            self._container.close()
            self._turn_to(0)
            self.facts = replace(self.facts, duration_ms=0)  # known when all was read

    def _turn_to(self, part: int) -> None:
        """Open a part, which begins behind the last frame."""
        self._part = part
        file = self._file if self._parts is None else self._parts.open(part)
        turned, origin = _peek(file)
        try:
            self._container = open_file(file)
        except (av.FFmpegError, OSError, ValueError, MediaError):
            raise MediaError(UNSUPPORTED) from None
        try:
            self._open(turned, origin)
        except BaseException:
            self._container.close()
            raise

    def _opened(self) -> BinaryIO:
        """The whole file from its beginning; closing it leaves a file that was handed in open."""
        if isinstance(self._file, str):
            return Path(self._file).open("rb")
        return cast(BinaryIO, FilePart(self._file, 0, None))

    def _open(self, turned: bool, origin: Fraction | None) -> None:
        self._stream = _film(self._container)
        if self._stream is None:
            raise MediaError(UNSUPPORTED)
        self._stream.codec_context.thread_count = self._threads
        self._stream.thread_type = "AUTO"
        self._aspect = self._stream.sample_aspect_ratio or None
        self._audio = [s for s in self._container.streams.audio if s.codec_context is not None]
        self.origin = origin
        self.regular = True
        """So far; see ``Place.regular``."""
        if self._part == 0:
            self.facts = facts_of(self._stream, self._container, turned)

    @property
    def expected_frames(self) -> int:
        """By the container; 0 where it does not say."""
        return int(self._stream.frames or 0) or int(self.facts.duration_ms * self.facts.rate / 1000)

    def close(self) -> None:
        with self._reading:
            self._container.close()
            if self._parts is not None:
                self._parts.close()

    def ended(self, last: Fraction) -> None:
        """All was read and ``last`` is the time of the last frame: now it is known how long a video is whose container does not say."""
        if self.facts.duration_ms == 0:
            self.facts = replace(self.facts, duration_ms=floor_ms(last + 1 / self.facts.rate))

    def items(self, *, sound: bool = False, after: Place | None = None) -> Iterator[VideoFrame | Sound]:
        """Frames in display order, and loudness where ``sound`` is wanted, in the order of the file.

        ``after``: go on behind that place. Damaged parts are passed over, as a player does.
        """
        if after is not None:
            self._index, self._last, self._frames_before = after.index, after.at, after.frames_before
            if after.part:
                self._next_part(after.part)
        yield from self._of_part(sound, after)
        while self._parts is not None and self._part + 1 < len(self._parts):
            self._next_part(self._part + 1)
            self._frames_before = self._index + 1
            if self.origin is not None and self._index >= 0:
                self.origin -= self._last + 1 / self.facts.rate
            yield from self._of_part(sound, None)

    def _next_part(self, part: int) -> None:
        with self._reading:
            self._container.close()
            self._turn_to(part)

    def place(self, heard: Mapping[int, Fraction]) -> Place:
        """Behind the last frame that was given. ``heard``: see ``Place``."""
        origin = self.origin or Fraction(0)
        return Place(self._index, self._last, origin, heard, self.regular, self._part, self._frames_before)

    def _of_part(self, sound: bool, after: Place | None) -> Iterator[VideoFrame | Sound]:
        streams = [self._stream, *(self._audio if sound else [])]
        heard = after.heard if after else {}
        behind = 0
        if after is not None:
            self.origin, self.regular = after.origin, after.regular
            if after.regular:
                self._seek(after)
            else:
                behind = after.index + 1 - after.frames_before
        for number, frame in self._frames(streams):
            if isinstance(frame, av.AudioFrame):
                spell = self._sound(frame, number)
                if spell is not None and (spell.stream not in heard or spell.start > heard[spell.stream]):
                    yield spell
                continue
            at = self._time(frame)
            if behind > 0:
                behind -= 1
                continue
            if after is not None and after.regular and at <= after.at:
                continue
            if self._index >= 0 and at <= self._last:
                self.regular = False
                at = self._last + 1 / self.facts.rate
            self._index, self._last = self._index + 1, at
            yield VideoFrame(self._index, at, AvPicture(frame, self._aspect), frame)

    def _seek(self, place: Place) -> None:
        # Back behind what is done by a margin: sound lags behind pictures in the file, and decoders need a run-up.
        target = min([place.at, *(max(at, Fraction(0)) for at in place.heard.values())]) - _SEEK_MARGIN + place.origin
        with contextlib.suppress(av.FFmpegError), self._reading:
            self._container.seek(int(max(target, Fraction(0)) * 1_000_000), backward=True, any_frame=False)

    def _time(self, frame: Any) -> Fraction:
        follows = Fraction(0) if self._index < 0 else self._last + 1 / self.facts.rate
        stamp = _stamp(frame, self._container)
        if stamp is None:
            self.regular = False
            return follows
        if self.origin is None:
            self.origin = stamp - follows
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
    film = max(films, key=lambda stream: (stream.width or 0) * (stream.height or 0))
    film.codec_context.options = DECODER_LIMITS
    return film


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

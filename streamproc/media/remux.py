"""Writing fragments: packets as they are into a new container, or encoded anew where they cannot be cut."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from streamproc.core.errors import MediaError
from streamproc.core.media import Frame, Packet
from streamproc.media.demux import Coded, VideoTrack
from streamproc.media.picture import AvPicture

FORMATS = {"mkv": "matroska", "ts": "mpegts", "mp4": "mp4"}
_OPTIONS = {"mp4": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}}
COPIES = {
    "mkv": {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "mjpeg"},
    "ts": {"h264", "hevc", "mpeg2video", "mpeg4"},
    "mp4": {"h264", "hevc", "av1", "vp9", "mpeg4"},
}
"""Codecs that each container takes as they are."""
LEAD = Fraction(10)
"""Added to every timestamp, so that reordered packets of the first fragment do not lie before zero."""
_HERTZ = 90_000
_BASE = Fraction(1, _HERTZ)
_LEAD = round(LEAD * _HERTZ)


@dataclass(frozen=True, slots=True)
class Shot:
    """One encoded picture on its way into a fragment; times in seconds."""

    data: bytes
    pts: Fraction
    dts: Fraction
    keyframe: bool


def shot_of(packet: Packet) -> Shot:
    """A source's packet as it is."""
    coded = packet.data
    assert isinstance(coded, Coded)
    raw = coded.packet
    shown, decoded = raw.pts, raw.dts
    at = packet.at.media
    reordered = shown is not None and decoded is not None and shown != decoded
    return Shot(bytes(raw), at, at - (shown - decoded) * raw.time_base if reordered else at, packet.keyframe)


def write_fragment(shots: Sequence[Shot], template: Any, name: str) -> bytes:
    """A self-contained file of ``shots`` (decode order, from a keyframe). ``name``: mkv, ts or mp4. Raises MediaError."""
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format=FORMATS[name], options=_OPTIONS.get(name, {})) as out:
            stream = out.add_stream_from_template(template)
            last: int | None = None
            for shot in shots:
                packet = av.Packet(shot.data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, _BASE, shot.keyframe
                pts = _LEAD + _ticks(shot.pts)
                dts = pts if shot.dts is shot.pts else _LEAD + _ticks(shot.dts)
                # Muxers want decode times that grow; those of cameras need not.
                dts = dts if last is None else max(dts, last + 1)
                packet.dts, packet.pts, last = dts, max(pts, dts), dts
                out.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"the pictures cannot be written as {name}: {error}") from None
    return buffer.getvalue()


def _ticks(seconds: Fraction) -> int:
    """``round(seconds * 90_000)`` in whole numbers: a fragment has hundreds of these, and fractions cost ten times as much."""
    count, rest = divmod(seconds.numerator * _HERTZ, seconds.denominator)
    above = 2 * rest - seconds.denominator
    return count + (above > 0 or (above == 0 and count % 2 == 1))


class Encoder:
    """H.264 of decoded frames, with a keyframe wherever one is asked for."""

    def __init__(self, track: VideoTrack) -> None:
        self._hold = av.open(io.BytesIO(), "w", format="matroska")
        self._rate = track.rate or Fraction(25)
        self._stream: Any = None

    @property
    def template(self) -> Any:
        """For ``write_fragment``."""
        return self._stream

    def encode(self, frame: Frame, keyframe: bool) -> list[Shot]:
        """Pictures that are ready; there is no reordering, so the last comes at once."""
        assert isinstance(frame.picture, AvPicture)
        picture = frame.picture.upright_frame().reformat(format="yuv420p")
        if self._stream is None:
            self._open(picture)
        picture.pts, picture.time_base = round(frame.at.media / _BASE), _BASE
        picture.pict_type = av.video.frame.PictureType.I if keyframe else av.video.frame.PictureType.NONE
        return [self._shot(packet) for packet in self._stream.encode(picture)]

    def flush(self) -> list[Shot]:
        return [self._shot(packet) for packet in self._stream.encode(None)] if self._stream is not None else []

    def _open(self, picture: Any) -> None:
        stream = self._hold.add_stream("libx264", rate=self._rate)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        stream.codec_context.time_base = _BASE
        stream.codec_context.max_b_frames = 0
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}
        self._stream = stream
        self._hold.start_encoding()

    def _shot(self, packet: Any) -> Shot:
        pts, dts = packet.pts * packet.time_base, packet.dts * packet.time_base
        return Shot(bytes(packet), pts, min(pts, dts), packet.is_keyframe)

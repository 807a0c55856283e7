"""Fragments as one MP4, packets as they are."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import av

from streamproc.aws_protocol.faults import AwsFault
from streamproc.core.errors import MediaError
from streamproc.core.video_log import FragmentInfo
from streamproc.media.demux import media_errors, open_container
from streamproc.media.matroska import first_timecode_ms

VIDEO = {"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg"}
AUDIO = {"aac", "mp3", "opus", "flac", "alac"}


def write_clip(parts: Iterable[tuple[FragmentInfo, bytes]], target: BinaryIO) -> None:
    """An MP4 whose time 0 is the first fragment's producer timestamp; pauses between fragments stay pauses.

    ``target`` can be sought in. Raises AwsFault or MediaError.
    """
    origin: int | None = None
    with media_errors("the clip"), av.open(target, "w", format="mp4") as out:
        muxer = _Muxer(out)
        for info, data in parts:
            origin = info.producer_ms if origin is None else origin
            shift = Fraction(info.producer_ms - origin - first_timecode_ms(data), 1000)
            with open_container(io.BytesIO(data), container_format="matroska") as source:
                muxer.copy(source, shift)
        if not muxer.streams:
            raise MediaError("there is neither video nor sound in these fragments")


def clip_bytes(parts: Iterable[tuple[FragmentInfo, bytes]]) -> bytes:
    """``write_clip`` in memory."""
    buffer = io.BytesIO()
    write_clip(parts, buffer)
    return buffer.getvalue()


class _Muxer:
    """The streams of the clip, made after the first fragment's."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self.streams: dict[tuple[str, int], Any] = {}
        self._private: dict[tuple[str, int], bytes] = {}
        self._last: dict[tuple[str, int], int] = {}
        self._delay: dict[tuple[str, int], int] = {}
        """How long before it is shown a packet is decoded, at least."""

    def copy(self, source: Any, shift: Fraction) -> None:
        """Every packet of a fragment, ``shift`` seconds later than its own time."""
        kinds = {stream.index: (stream.type, index) for index, stream in enumerate(source.streams)}
        first = not self.streams
        for stream in source.streams:
            if stream.type in ("video", "audio"):
                self._check(kinds[stream.index], stream, first)
        if first and self.streams:
            self._out.start_encoding()  # from here on the streams have the time bases that the file has
        packets: dict[tuple[str, int], list[Any]] = {key: [] for key in self.streams}
        in_order: list[tuple[str, int]] = []
        for packet in source.demux():
            key = kinds[packet.stream_index]
            if packet.size and key in packets and packet.pts is not None:
                packets[key].append(packet)
                in_order.append(key)
        timed = {key: self._timed(key, each, shift) for key, each in packets.items()}
        for key in in_order:
            self._put(key, *next(timed[key]))

    def _check(self, key: tuple[str, int], stream: Any, first: bool) -> None:
        context = stream.codec_context
        codec = context.codec.canonical_name if context is not None else ""
        if codec not in (VIDEO if key[0] == "video" else AUDIO):
            raise AwsFault(
                "UnsupportedStreamMediaTypeException", f"An MP4 clip cannot hold the codec {codec or 'of this stream'}."
            )
        private = bytes(context.extradata or b"")
        if codec in ("h264", "hevc", "aac") and (not private or private[:3] in (b"\0\0\0", b"\0\0\1")):
            raise AwsFault(
                "MissingCodecPrivateDataException", "There is no codec private data (avcC, hvcC) in a track."
            )
        if first:
            self.streams[key] = self._out.add_stream_from_template(stream)
            self._private[key] = private
        elif self._private.get(key) != private:
            raise AwsFault(
                "InvalidCodecPrivateDataException",
                "The codec changes within the clip; ask for the time before or after it.",
            )

    def _timed(self, key: tuple[str, int], packets: list[Any], shift: Fraction) -> Iterator[tuple[Any, int, int]]:
        """(packet, when it is shown, when it is decoded) in the clip's ticks. Matroska says only the first; what FFmpeg makes of it is
        wrong at the beginning of reordered video.
        """
        ours = self.streams[key].time_base
        shown = [round((packet.pts * packet.time_base + shift) / ours) for packet in packets]
        ordered = sorted(shown)
        delay = max((late - own for late, own in zip(ordered, shown, strict=True)), default=0)
        self._delay[key] = delay = max(delay, self._delay.get(key, 0))
        return iter([*zip(packets, shown, (each - delay for each in ordered), strict=True)])

    def _put(self, key: tuple[str, int], packet: Any, pts: int, dts: int) -> None:
        # Fragments overlap where a camera's clock was corrected between them: time never goes back, by the file's own ticks.
        last = self._last.get(key)
        dts = dts if last is None else max(dts, last + 1)
        ours = self.streams[key].time_base
        packet.duration = round((packet.duration or 0) * packet.time_base / ours)
        packet.time_base, packet.dts, packet.pts = ours, dts, max(pts, dts)
        self._last[key] = dts
        packet.stream = self.streams[key]
        self._out.mux(packet)

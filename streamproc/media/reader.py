"""Frames of a stored file, for whoever needs them all: jobs, benchmarks, tools."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from streamproc.core.media import EPOCH, Frame, Moment, Packet
from streamproc.logic.timeline import JUMP, Timeline
from streamproc.media.decode import Decoder
from streamproc.media.demux import (
    RESTARTING_FORMATS,
    Coded,
    lead,
    media_errors,
    open_file,
    seconds,
    shown_for,
    video_track,
)


def read_frames(
    path: Path, *, threads: int = 1, start_wall: datetime = EPOCH, decoder: Decoder | None = None
) -> Iterator[Frame]:
    """Every frame in display order; media time counts from the first. Raises MediaError where there is no video.

    A file that is damaged on the way gives what can be decoded; ask ``decoder.counts`` of a decoder of your own.
    """
    decoder = decoder or Decoder(threads=threads)
    for packet in read_packets(path, start_wall):
        yield from decoder.decode(packet)
    yield from decoder.flush()


def read_packets(path: Path, start_wall: datetime = EPOCH) -> Iterator[Packet]:
    """Every packet of the video stream in decode order. Raises MediaError where there is no video."""
    with media_errors(str(path)):
        container = open_file(str(path))
    with container:
        stream, track = video_track(container, str(path), writable=True)
        restarting = container.format.name.split(",")[0] in RESTARTING_FORMATS
        timeline = Timeline(jump=JUMP if restarting else None)
        for raw in _tolerant(container, stream):
            base = raw.time_base
            media = timeline.place(
                seconds(raw.pts, base),
                seconds(raw.dts, base),
                shown_for(track.context, raw),
                keyframe=raw.is_keyframe,
                lead=lead(stream, raw),
            )
            yield Packet(Coded(raw, track), moment(media, start_wall), raw.size, raw.is_keyframe)


def moment(media: Fraction, start_wall: datetime) -> Moment:
    """Media time on a wall clock that started at ``start_wall``; exact to the microsecond."""
    return Moment(media, start_wall + timedelta(microseconds=round(media * 1_000_000)))


def _tolerant(container: Any, stream: Any) -> Iterator[Any]:
    """Packets until the end, or until the container cannot be read any further."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        if packet.size:
            yield packet

"""A camera to measure with: a clip of the user's, some seconds recorded from a real one, or a made scene; and the same standing still."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Explains
from streamproc.core.errors import InputError, SourceRefused
from streamproc.core.media import Frame, Gap, Packet
from streamproc.media.demux import Coded
from streamproc.media.picture import AvPicture
from streamproc.media.reader import read_frames, read_packets
from streamproc.media.remux import Shot, shot_of, write_fragment

MEASURED_S = 10.0
"""So much of a clip is measured at most."""
PATIENCE_S = 15.0
"""A camera may take so long to give its first picture."""
NOISE = 2.0
"""Standard deviation (8-bit levels) of the noise on a picture that stands still."""


@dataclass(frozen=True)
class Sample:
    """The beginning of a feed, in a file."""

    name: str
    """Where it came from; holds no credentials."""
    clip: Path
    width: int
    height: int
    fps: float
    frames: int
    keyframes: int
    size: int
    """Bytes."""
    until: Fraction
    """Media time of the last packet that belongs to it."""
    ingest_ms: float | None = None
    """CPU milliseconds a packet to receive it from the camera; None of a file."""

    @property
    def seconds(self) -> float:
        """How much video it is."""
        return max(self.frames / self.fps, 0.04)

    @property
    def bit_rate(self) -> float:
        """Bits a second."""
        return 8 * self.size / self.seconds

    @property
    def gop_s(self) -> float:
        """Mean seconds from one keyframe to the next."""
        return self.seconds / max(1, self.keyframes)

    def packets(self) -> Iterator[Packet]:
        """Read anew each time: a decoder is given a track only once."""
        for packet in read_packets(self.clip):
            if packet.at.media > self.until:
                return
            yield packet

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "fps": round(self.fps, 3),
            "bit_rate": round(self.bit_rate),
            "gop_s": round(self.gop_s, 2),
        }


def of_clip(clip: Path, name: str | None = None, ingest_ms: float | None = None) -> Sample:
    """Raises InputError where the clip holds no video."""
    if not clip.is_file():
        raise InputError(f"{clip}: there is no such file; name a recording, or none for the made scene")
    times: list[Fraction] = []
    size = keyframes = 0
    track: Any = None
    for packet in read_packets(clip):
        if packet.at.media > MEASURED_S:
            break
        track = track or _track(packet)
        times.append(packet.at.media)
        size, keyframes = size + packet.size, keyframes + packet.keyframe
    if track is None:
        raise InputError(f"{clip}: there is no picture in it; give a clip or a camera's recording")
    span = max(times) - min(times)
    fps = float((len(times) - 1) / span) if span else float(track.rate or 15)
    return Sample(
        name or str(clip), clip, track.width, track.height, fps, len(times), keyframes, size, max(times), ingest_ms
    )


def of_camera(ref: ConnectorRef, name: str, folder: Path) -> Sample:
    """Some seconds of a live feed, recorded into ``folder``. Raises InputError where it gives no video."""
    source = make_source(ref, ConnectorContext(base_dir=Path.cwd()))
    stop = threading.Event()
    shots: list[Shot] = []
    giving_up = threading.Timer(PATIENCE_S, lambda: None if shots else stop.set())
    giving_up.start()
    template: Any = None
    begun_cpu, begun, origin = time.process_time(), 0.0, Fraction(0)
    try:
        for item in source.items(stop):
            if isinstance(item, Gap):
                raise InputError(f"{name}: {item.detail or item.reason}; check the address and the camera")
            if not isinstance(item, Packet) or (not shots and not item.keyframe):
                continue
            if not shots:
                template, origin = _track(item).template, item.at.media
                begun_cpu, begun = time.process_time(), time.monotonic()
            shots.append(shot_of(item))
            if item.at.media - origin >= MEASURED_S or time.monotonic() - begun >= MEASURED_S:
                break
    except SourceRefused as error:
        raise InputError(f"{name}: {error}") from None
    finally:
        stop.set()
        giving_up.cancel()
    if len(shots) < 2 or template is None:
        why = f" ({source.note})" if isinstance(source, Explains) and source.note else ""
        raise InputError(f"{name}: no picture came within {PATIENCE_S:g} s{why}; check the address and the camera")
    ingest_ms = 1000 * (time.process_time() - begun_cpu) / len(shots)
    target = folder / "camera.mkv"
    target.write_bytes(write_fragment(shots, template, "mkv"))
    return of_clip(target, name, ingest_ms)


def standing_still(sample: Sample, target: Path, seconds: float = MEASURED_S) -> Sample:
    """The sample's first picture under a camera's noise: what most cameras show most of the day. Written to ``target``."""
    first = next(iter(read_frames(sample.clip)), None)
    if first is None:
        raise InputError(f"{sample.name}: no picture in it can be decoded")
    picture = first.picture.bgr().astype(np.float32)
    picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    chance = np.random.default_rng(1)
    noise = [chance.normal(0, NOISE, (*picture.shape[:2], 1)).astype(np.float32) for _ in range(4)]
    rate = max(1, round(sample.fps))
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "yuv420p"
        stream.gop_size = max(1, round(min(sample.gop_s, seconds / 2) * rate))
        for index in range(round(seconds * rate)):
            pixels = np.clip(picture + noise[index % len(noise)], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        out.mux(stream.encode())
    return of_clip(target, sample.name, sample.ingest_ms)


def later(sample: Sample, first: int, turns: int) -> Iterator[Packet]:
    """The sample's packets from its ``first`` turn on, as those of a feed that goes on and on."""
    length = sample.until + Fraction(1) / max(1, round(sample.fps))
    for turn in range(first, first + turns):
        for packet in sample.packets():
            yield replace(packet, at=packet.at.after(turn * length))


def fresh(frame: Frame) -> Frame:
    """The frame with nothing of it converted yet."""
    assert isinstance(frame.picture, AvPicture)
    return Frame(frame.at, AvPicture(frame.picture.frame, frame.picture.aspect), frame.fragment, frame.offset)


def _track(packet: Packet) -> Any:
    assert isinstance(packet.data, Coded)
    return packet.data.track

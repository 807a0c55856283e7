"""A feed's packets as a run of self-contained fragments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from streamproc.core.errors import MediaError
from streamproc.core.media import Frame, Moment, Packet
from streamproc.logic.fragments import Cutter
from streamproc.media.decode import Decoder
from streamproc.media.demux import Coded, VideoTrack
from streamproc.media.remux import COPIES, Encoder, Shot, shot_of, write_fragment


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A finished fragment."""

    at: Moment
    """Of its first frame."""
    seconds: Fraction
    data: bytes


class CannotCopy(MediaError):
    """The container does not take the feed's packets as they are."""


class Fragmenter:
    """Cuts at keyframes without touching the pictures; encodes anew only where that cannot be, and says so."""

    def __init__(
        self, name: str, wanted: Fraction, say: Callable[[str], None] = lambda words: None, *, encodes: bool = True
    ) -> None:
        """``name``: mkv, ts or mp4. ``wanted``: seconds a fragment. ``say`` is told why the feed is encoded anew.

        ``encodes`` False: never; fragments are as long as keyframes are apart, and ``add`` raises CannotCopy.
        """
        self._name = name
        self._wanted = wanted
        self._say = say
        self._encodes = encodes
        self._cutter = Cutter(wanted)
        self._track: VideoTrack | None = None
        self._packets: list[Packet] = []
        self._transcoder: _Transcoder | None = None

    def add(self, packet: Packet) -> list[Outgoing]:
        """Fragments that are finished now."""
        track = _track(packet)
        done: list[Outgoing] = []
        if track is not self._track:
            done = self.finish()
            self._track = track
            if track.codec not in COPIES[self._name] or track.template is None:
                done += self._transcode(f"{track.codec} cannot be put into {self._name} as it is")
        if self._transcoder is not None:
            return done + self._transcoder.add(packet)
        if not self._packets and not packet.keyframe:
            return done
        if self._cutter.cuts(packet.at.media, packet.keyframe):
            done.append(self._fragment(self._packets, packet.at.media))
            self._packets = []
        self._packets.append(packet)
        if self._encodes and self._cutter.too_long(packet.at.media):
            done += self._transcode("its keyframes are more than 10 s apart")
        return done

    def finish(self) -> list[Outgoing]:
        """What is left, at a gap or the end."""
        done = [] if self._transcoder is None else self._transcoder.finish()
        if self._packets:
            done.append(self._fragment(self._packets, _end(self._packets)))
        self._packets, self._track, self._transcoder = [], None, None
        self._cutter.restart()
        return done

    def _transcode(self, why: str) -> list[Outgoing]:
        assert self._track is not None
        if not self._encodes:
            raise CannotCopy(why)
        self._say(f"the video is encoded anew: {why}")
        self._transcoder = _Transcoder(self._name, self._wanted, self._track)
        held, self._packets = self._packets, []
        return [fragment for packet in held for fragment in self._transcoder.add(packet)]

    def _fragment(self, packets: list[Packet], end: Fraction) -> Outgoing:
        assert self._track is not None
        data = write_fragment([shot_of(packet) for packet in packets], self._track.template, self._name)
        return Outgoing(packets[0].at, end - packets[0].at.media, data)


class _Transcoder:
    """Frames of one track as fragments of exactly the wanted length."""

    def __init__(self, name: str, wanted: Fraction, track: VideoTrack) -> None:
        self._name = name
        self._wanted = wanted
        self._decoder = Decoder()
        self._encoder = Encoder(track)
        self._shots: list[Shot] = []
        self._begin: Moment | None = None
        self._last = Fraction(0)
        self._step = Fraction(1, 25)

    def add(self, packet: Packet) -> list[Outgoing]:
        return [done for frame in self._decoder.decode(packet) for done in self._frame(frame)]

    def finish(self) -> list[Outgoing]:
        done = [done for frame in self._decoder.flush() for done in self._frame(frame)]
        self._shots += self._encoder.flush()
        return done + self._emit(self._last + self._step)

    def _frame(self, frame: Frame) -> list[Outgoing]:
        done: list[Outgoing] = []
        begins = self._begin is None or frame.at.media - self._begin.media >= self._wanted
        if begins:
            done = self._emit(frame.at.media)
            self._begin = frame.at
        if frame.at.media > self._last:
            self._step, self._last = frame.at.media - self._last, frame.at.media
        self._shots += self._encoder.encode(frame, keyframe=begins)
        return done

    def _emit(self, end: Fraction) -> list[Outgoing]:
        if self._begin is None or not self._shots:
            return []
        shots, self._shots = self._shots, []
        data = write_fragment(shots, self._encoder.template, self._name)
        return [Outgoing(self._begin, end - self._begin.media, data)]


def _track(packet: Packet) -> VideoTrack:
    assert isinstance(packet.data, Coded)
    return packet.data.track


def _end(packets: list[Packet]) -> Fraction:
    shown = sorted(packet.at.media for packet in packets)
    return shown[-1] + (shown[-1] - shown[-2] if len(shown) > 1 else Fraction(1, 25))

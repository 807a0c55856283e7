"""A feed's packets as recordings: self-contained Matroska fragments with the packets as they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from streamproc.core.media import Packet
from streamproc.core.video_log import Recorded
from streamproc.media import ebml
from streamproc.media.demux import Coded, VideoTrack, with_template
from streamproc.media.fragmenter import Fragmenter, Outgoing

WANTED_S = Fraction(2)
"""Shortest fragment; the service wants 2 to 10 s. What is not complete yet is lost when the power is."""
_KEPT = frozenset({ebml.EBML, ebml.INFO, ebml.TRACKS, ebml.CLUSTER})


class RecordingCutter:
    """Cuts packets at keyframes; never encodes. After an error it goes on with the next keyframe."""

    def __init__(self) -> None:
        self._fragmenter = Fragmenter("mkv", WANTED_S, encodes=False)
        self._given: VideoTrack | None = None
        self._track: VideoTrack | None = None
        self.held = 0
        """Bytes of packets that are in no fragment yet."""

    def add(self, packet: Packet) -> list[Recorded]:
        """Fragments that are complete now. Raises MediaError where the packets cannot be kept as they are."""
        coded = packet.data
        assert isinstance(coded, Coded)
        if coded.track is not self._given:
            self._given, self._track = coded.track, None
        if self._track is None:
            if not packet.keyframe:
                return []
            writable = coded.track.template is not None
            self._track = coded.track if writable else with_template(coded.track, bytes(coded.packet))
        if self._track is not coded.track:
            packet = replace(packet, data=Coded(coded.packet, self._track))
        done = self._fragmenter.add(packet)
        self.held = packet.size if done else self.held + packet.size
        return _recorded(done)

    def finish(self) -> list[Recorded]:
        """What is left, at a gap or the end."""
        self.held = 0
        return _recorded(self._fragmenter.finish())

    def drop(self) -> None:
        """Forget what is in no fragment yet."""
        self._fragmenter = Fragmenter("mkv", WANTED_S, encodes=False)
        self._given = self._track = None
        self.held = 0


def without_index(data: bytes) -> bytes:
    """A complete Matroska file as a live one: its Segment's size unknown, without positions (SeekHead, Cues), paddings and tags.

    Chunks of GetMedia get tags before the first cluster, so neither size nor positions would stay true. Raises MatroskaError.
    """
    kept: list[bytes] = []
    at = 0
    while (head := ebml.read_head(data, at, len(data))) is not None:
        ident, size, content = head
        if ident == ebml.SEGMENT:
            kept.append(ebml.UNKNOWN_SEGMENT)
            at = content
            continue
        end = content + size
        if size == ebml.UNKNOWN or end > len(data):
            raise ebml.MatroskaError("an element reaches over the end of its file")
        if ident in _KEPT:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _recorded(fragments: Sequence[Outgoing]) -> list[Recorded]:
    return [Recorded(each.at.wall, round(each.seconds * 1000), without_index(each.data)) for each in fragments]

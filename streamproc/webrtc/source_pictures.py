"""Pictures of one source as browsers may be sent them: judged, cut into payloads, and kept since the last keyframe."""

from __future__ import annotations

from typing import Any

import structlog

from streamproc.core.media import Packet
from streamproc.media.demux import Coded, VideoTrack
from streamproc.webrtc.h264 import (
    SPS,
    ParameterSets,
    for_viewers,
    is_keyframe,
    packetize,
    parameter_sets,
    split,
    why_unplayable,
)
from streamproc.webrtc.outbound import Shown
from streamproc.webrtc.vp8 import packetize as packetize_vp8

log = structlog.get_logger(__name__)

MAX_GROUP = 300
MAX_GROUP_BYTES = 3 * 1024 * 1024
"""Pictures since the last keyframe that are kept for whoever comes next."""


class SourcePictures:
    """Takes the packets of a source in order; learns from them whether browsers play it as it comes. Belongs to the event loop."""

    def __init__(self, name: str) -> None:
        """``name``: the processor's, for the log."""
        self.codec: str | None = None
        """Of the source, once a picture came."""
        self.unplayable: str | None = None
        """Why browsers cannot play it as it comes."""
        self.group: list[Shown] = []
        """Since the last keyframe."""
        self._name = name
        self._group_bytes = 0
        self._track: VideoTrack | None = None
        self._sets = ParameterSets(0, ())
        self._newest = -1.0

    def begin(self, track: VideoTrack) -> bool:
        """Whether the next picture is of another connection, file or codec: nothing of the one before may be shown with it."""
        if track is self._track:
            return False
        self._track, self.codec, self._newest = track, track.codec, -1.0
        self._sets = ParameterSets(0, ())
        self.unplayable = None if track.codec in ("h264", "vp8") else f"browsers do not play {track.codec} everywhere"
        if track.codec == "h264":
            self._sets = parameter_sets(track.context.extradata)
            self._judge([*self._sets.units])
            if track.context.has_b_frames:
                self.unplayable = self.unplayable or "its pictures are reordered (B-frames)"
        self.forget()
        return True

    def take(self, packet: Packet, coded: Coded, *, masked: bool) -> Shown | None:
        """The picture as viewers get it; None where none may be sent as it came. ``masked``: the camera has privacy masks."""
        nals = self._nals(packet, coded.packet)
        if masked:
            self.forget()
        if self.unplayable is not None or masked or packet.at.media < 0:
            return None
        shown = self._shown(packet, coded, nals)
        self._keep(shown)
        return shown

    def forget(self) -> None:
        """Nothing that came so far is shown to whoever comes next."""
        self.group.clear()
        self._group_bytes = 0

    def rest(self) -> None:
        """Nobody looks on any more; whatever comes next begins anew."""
        self.forget()
        self._track = None

    def _nals(self, packet: Packet, raw: Any) -> list[bytes]:
        """The picture's units; learns from them what browsers will make of it."""
        if self.codec != "h264" or self.unplayable is not None:
            return []
        nals = split(bytes(raw), self._sets.length_size)
        self._judge(nals)
        if float(packet.at.media) < self._newest and float(packet.at.media) > self._newest - 1:
            self.unplayable = "its pictures are reordered (B-frames)"
        self._newest = float(packet.at.media)
        if self.unplayable is not None:
            log.info("viewers_get_it_transcoded", processor=self._name, reason=self.unplayable)
            self.forget()
        return nals

    def _judge(self, nals: list[bytes]) -> None:
        for nal in nals:
            if nal[0] & 0x1F == SPS:
                self.unplayable = self.unplayable or why_unplayable(nal)

    def _shown(self, packet: Packet, coded: Coded, nals: list[bytes]) -> Shown:
        if self.codec == "h264":
            keyframe = is_keyframe(nals)
            payloads = packetize(for_viewers(nals, self._sets))
        else:
            keyframe = packet.keyframe
            payloads = packetize_vp8(bytes(coded.packet))
        return Shown(self.codec or "", tuple(payloads), packet.size, keyframe, packet.at.media, packet.at.wall)

    def _keep(self, shown: Shown) -> None:
        if shown.keyframe:
            self.forget()
        elif not self.group:
            return
        self.group.append(shown)
        self._group_bytes += shown.size
        if len(self.group) > MAX_GROUP or self._group_bytes > MAX_GROUP_BYTES:
            self.forget()

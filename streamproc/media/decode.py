"""Packets in, frames out; what cannot be decoded is counted and passed over."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from streamproc.core.media import Frame, Packet
from streamproc.media.demux import DECODER_LIMITS, Coded, VideoTrack
from streamproc.media.mask import PrivacyMask
from streamproc.media.picture import AvPicture

MAX_BLIND = Fraction(10)
"""Wait at most so many seconds of media for a keyframe: some encoders refresh without ever sending one."""
MAX_RESYNC = Fraction(2)
"""After damage pictures are smeared until the next keyframe; hide them, but not for longer than this."""
MAX_REORDER = 32


@dataclass(slots=True)
class DecodeCounts:
    """What went wrong so far."""

    damaged: int = 0
    """Packets that the decoder refused or that arrived damaged."""
    hidden: int = 0
    """Packets and frames that were passed over while waiting for a keyframe."""
    frames: int = 0


class Decoder:
    """Decodes one feed. Not thread-safe; may move between threads.

    Frames leave in display order with strictly growing media time. A new track (a reconnect, the next fragment) drains the old.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        after: Fraction | None = None,
        skip_loop_filter: bool = False,
        mask: PrivacyMask | None = None,
    ) -> None:
        """``threads``: of the codec; 1 costs least, more give a single file back sooner. ``after``: frames up to this media time are
        dropped (they were seen before a restart). ``skip_loop_filter``: a fifth off the cost for slightly rougher pictures. ``mask``: what is
        black in every picture that leaves.
        """
        self._mask = mask
        self._threads = threads
        self._skip_loop_filter = skip_loop_filter
        self._last = after
        self._track: VideoTrack | None = None
        self._pending: list[tuple[int | None, Packet]] = []
        self._by_order = False
        self._fed = False
        self._needs_key = True
        self._blind_since: Fraction | None = None
        self._smeared_since: Fraction | None = None
        self.counts = DecodeCounts()

    def decode(self, packet: Packet) -> list[Frame]:
        """Frames that are ready after ``packet``; possibly none, possibly several."""
        coded = packet.data
        if not isinstance(coded, Coded):
            raise TypeError(f"a packet holds {type(coded).__name__}, not media.demux.Coded")
        frames: list[Frame] = []
        if coded.track is not self._track:
            frames = self.flush()
            self._open(coded.track)
        if not self._admit(packet):
            self.counts.hidden += 1
        else:
            self._remember(packet, coded)
            frames += self._run(coded.packet, packet)
        if packet.ends:
            frames += self.flush()
        return frames

    def flush(self) -> list[Frame]:
        """Frames that were held back for reordering. The next packet must be a keyframe."""
        frames = self._run(None, None) if self._fed else []
        self.reset()
        return frames

    def still(self, packet: Packet) -> Frame | None:
        """A keyframe's picture by itself, ahead of what is queued before it; None where it cannot be decoded.

        Nothing may be held back, and nothing is afterwards: the next packet must be a keyframe, this one again or another.
        """
        coded = packet.data
        assert isinstance(coded, Coded)
        if coded.track is not self._track:
            self._open(coded.track)
        self.reset()
        try:
            decoded = [*coded.track.context.decode(coded.packet), *coded.track.context.decode(None)]
        except av.FFmpegError:
            decoded = []
        coded.track.context.flush_buffers()
        if not decoded or decoded[0].is_corrupt:
            return None
        self.counts.frames += 1
        return Frame(packet.at, AvPicture(decoded[0], coded.track.aspect, self._mask), packet.fragment, packet.offset)

    def pass_over(self, media: Fraction) -> None:
        """Frames up to this media time were seen."""
        self._last = media

    def reset(self) -> None:
        """Forget what is held back (after a gap). The next packet that is shown will be a keyframe."""
        if self._track is not None and self._fed:
            self._track.context.flush_buffers()
        self._pending.clear()
        self._fed, self._needs_key, self._blind_since, self._smeared_since = False, True, None, None

    def _open(self, track: VideoTrack) -> None:
        self.reset()
        self._track = track
        self._by_order = False
        context = track.context
        if context.is_open:
            # Somebody decoded this track before; what they left must not come out here.
            context.flush_buffers()
        else:
            context.thread_count = self._threads
            context.thread_type = "SLICE" if self._threads == 1 else "AUTO"
            context.options = {**context.options, **DECODER_LIMITS}
            if self._skip_loop_filter:
                context.options = {**context.options, "skip_loop_filter": "all"}

    def _admit(self, packet: Packet) -> bool:
        """Whether the decoder gets this packet: from a keyframe on, or when none comes for too long."""
        if self._needs_key:
            if self._blind_since is None:
                self._blind_since = packet.at.media
            self._needs_key = not packet.keyframe and packet.at.media - self._blind_since <= MAX_BLIND
        return not self._needs_key

    def _remember(self, packet: Packet, coded: Coded) -> None:
        # AVI and the like: only decode times are known, and frames leave in their order.
        self._by_order |= coded.packet.pts is None and coded.packet.dts is not None
        self._pending = [*self._pending[-MAX_REORDER:], (coded.packet.pts, packet)]

    def _run(self, data: Any, packet: Packet | None) -> list[Frame]:
        assert self._track is not None
        self._fed = True
        if packet is not None and data.is_corrupt:
            self._damage(packet)
        try:
            decoded = self._track.context.decode(data)
        except av.FFmpegError:
            if packet is not None:
                self._damage(packet)
            return []
        frames = [frame for frame in map(self._frame, decoded) if frame is not None]
        self.counts.frames += len(frames)
        return frames

    def _damage(self, packet: Packet) -> None:
        self.counts.damaged += 1
        self._smeared_since = packet.at.media

    def _frame(self, decoded: Any) -> Frame | None:
        packet = self._packet_of(decoded)
        if packet is None or decoded.is_corrupt or self._hidden(packet):
            self.counts.hidden += 1
            return None
        self._last = packet.at.media
        assert self._track is not None
        return Frame(packet.at, AvPicture(decoded, self._track.aspect, self._mask), packet.fragment, packet.offset)

    def _hidden(self, packet: Packet) -> bool:
        """Whether nobody is to see this frame: before the first, seen already, or smeared by damage."""
        media = packet.at.media
        if media < 0 or (self._last is not None and media <= self._last):
            return True
        if self._smeared_since is None or media < self._smeared_since:
            return False
        if packet.keyframe or media - self._smeared_since > MAX_RESYNC:
            self._smeared_since = None
            return False
        return True

    def _packet_of(self, decoded: Any) -> Packet | None:
        """The packet that carried this frame's timestamp; what should have been seen before it never will be."""
        if not self._pending:
            return None
        found = None
        if not self._by_order:
            found = next((packet for pts, packet in self._pending if pts == decoded.pts), None)
        if found is None:
            found = min((packet for _, packet in self._pending), key=lambda packet: packet.at.media)
        self._pending = [item for item in self._pending if item[1].at.media > found.at.media]
        return found

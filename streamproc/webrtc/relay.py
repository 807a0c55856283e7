"""From one running source to all who watch it: one reading, encoded pictures passed on as they came where browsers play them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from connectors.webrtc.source import WebrtcSource
from streamproc.core.media import Frame, Gap, Packet, StreamItem
from streamproc.live.run import Run
from streamproc.media.demux import Coded, VideoTrack
from streamproc.media.mask import PrivacyMask
from streamproc.pipeline.analysis import FrameResult
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
from streamproc.webrtc.outbound import Shown, Viewer
from streamproc.webrtc.transcode import Transcoder
from streamproc.webrtc.vp8 import packetize as packetize_vp8

log = structlog.get_logger(__name__)

MAX_GROUP = 300
MAX_GROUP_BYTES = 3 * 1024 * 1024
"""Pictures since the last keyframe that are kept for whoever comes next."""
KEYFRAME_EVERY_S = 1.0
"""A publisher is asked for a keyframe at most so often, however many viewers want one."""


class Relay:
    """One processor's. Belongs to the event loop; taps and watchers are called in other threads and only hand over."""

    def __init__(self, name: str, run_of: Callable[[], Run | None]) -> None:
        self.name = name
        self.viewers: dict[str, Viewer] = {}
        self.codec: str | None = None
        """Of the source, once a picture came."""
        self.unplayable: str | None = None
        """Why browsers cannot play it as it comes."""
        self.observers: list[Callable[[Frame, list[FrameResult]], None]] = []
        """Called in the event loop after each look of the analysis."""
        self._run_of = run_of
        self._run: Run | None = None
        self._mask = PrivacyMask()
        """What viewers may not see; stays when the run ends, for what is still on its way."""
        self._loop = asyncio.get_running_loop()
        self._seen = asyncio.Event()
        self._track: VideoTrack | None = None
        self._sets = ParameterSets(0, ())
        self._lock = threading.Lock()
        self._recent: list[Packet] = []
        self._live = False
        self._group: list[Shown] = []
        self._group_bytes = 0
        self._transcoders: dict[str, Transcoder] = {}
        self._asked = 0.0
        self._peeking = 0
        self._newest = -1.0

    @property
    def watched(self) -> bool:
        return bool(self.viewers or self.observers or self._peeking)

    async def source_codec(self, patience_s: float = 1.5) -> str | None:
        """What the source sends; waits a little for its first picture."""
        self._peeking += 1
        try:
            self.follow()
            await asyncio.wait_for(self._seen.wait(), patience_s)
        except TimeoutError:
            return None
        finally:
            self._peeking -= 1
        return self.codec if self.unplayable is None and not self._mask else None

    def add(self, viewer: Viewer) -> None:
        self.viewers[viewer.identity] = viewer
        self.follow()

    def remove(self, viewer: Viewer) -> None:
        viewer.end()
        self.viewers.pop(viewer.identity, None)
        self.tidy()

    def started(self, viewer: Viewer) -> None:
        """It is connected: show it something at once."""
        if self._direct(viewer):
            viewer.catch_up(self._group)
        if viewer.starving:
            self.keyframe_wanted(viewer)

    def keyframe_wanted(self, viewer: Viewer) -> None:
        """It cannot go on without one: ask whoever can make one, else send again what came since the last."""
        now = time.monotonic()
        if not self._direct(viewer):
            transcoder = self._transcoders.get(viewer.codec)
            if transcoder is not None:
                transcoder.request_keyframe()
        elif self._run is not None and isinstance(source := self._run.feeder.source, WebrtcSource):
            if source.publisher is not None and now - self._asked > KEYFRAME_EVERY_S:
                self._asked = now
                source.publisher.request_keyframe()
        elif now - viewer.caught_up_at > KEYFRAME_EVERY_S:
            viewer.catch_up(self._group)

    def follow(self) -> None:
        """Look on at the processor's present run; called about twice a second, for runs come and go."""
        run = self._run_of()
        if run is not self._run:
            self._let_go()
            if run is not None:
                run.items.add(self._tap)
                run.lane.frames.observers.add(self._watch)
                run.lane.frames.boxes_wanted = lambda: bool(self.observers)
                self._mask = run.lane.frames.mask
            for codec in list(self._transcoders):  # the next packet begins one with this run's masks
                self._transcoders.pop(codec).close()
            self._run = run
        if self.watched and not self._live:
            with self._lock:
                recent, self._live = list(self._recent), True
            for packet in recent:
                self._packet(packet)

    def tidy(self) -> None:
        """Give up what nobody needs."""
        for codec in [codec for codec in self._transcoders if not self._needs(codec)]:
            self._transcoders.pop(codec).close()
        if not self.watched:
            self._live = False
            self._forget_group()
            self._seen.clear()
            self._track = None

    def close(self) -> None:
        for viewer in list(self.viewers.values()):
            self.remove(viewer)
        self.observers.clear()
        self.tidy()
        self._let_go()

    # -- other threads

    def _tap(self, item: StreamItem) -> None:
        """What came since the last keyframe is remembered, so that whoever comes first need not wait for the next."""
        with self._lock:
            if not isinstance(item, Packet) or item.keyframe or len(self._recent) >= MAX_GROUP:
                self._recent = []
            if isinstance(item, Packet) and (item.keyframe or self._recent):
                self._recent.append(item)
            if self._live:
                self._loop.call_soon_threadsafe(self._item, item)

    def _watch(self, frame: Frame, looks: list[FrameResult]) -> None:
        if self.observers:
            self._loop.call_soon_threadsafe(self._looked, frame, looks)

    # -- inside

    def _looked(self, frame: Frame, looks: list[FrameResult]) -> None:
        for looker in tuple(self.observers):
            looker(frame, looks)

    def _item(self, item: StreamItem) -> None:
        if not self._live:
            return
        if isinstance(item, Gap):
            for transcoder in self._transcoders.values():
                transcoder.put(item)
            self._forget_group()
            for viewer in self.viewers.values():
                viewer.skip_to_keyframe()
        elif isinstance(item, Packet):
            self._packet(item)

    def _packet(self, packet: Packet) -> None:
        coded = packet.data
        if not isinstance(coded, Coded):
            return
        if coded.track is not self._track:
            self._begin(coded.track)
        nals = self._nals(packet, coded.packet)
        self._seen.set()
        direct = self.unplayable is None and not self._mask and packet.at.media >= 0
        if self._mask:
            self._forget_group()
        if direct:
            shown = self._shown(packet, coded, nals)
            self._keep(shown)
            for viewer in tuple(self.viewers.values()):
                if self._direct(viewer):
                    viewer.offer(shown)
        for viewer in self.viewers.values():
            if not self._direct(viewer) and viewer.codec not in self._transcoders:
                with self._lock:
                    recent = [known for known in self._recent if known is not packet]
                self._transcoders[viewer.codec] = Transcoder(
                    viewer.codec, self._transcoded, recent, packet.at.media, self._mask
                )
        for transcoder in self._transcoders.values():
            transcoder.put(packet)

    def _begin(self, track: VideoTrack) -> None:
        """Another connection, file or codec."""
        self._track, self.codec, self._newest = track, track.codec, -1.0
        self._sets = ParameterSets(0, ())
        self.unplayable = None if track.codec in ("h264", "vp8") else f"browsers do not play {track.codec} everywhere"
        if track.codec == "h264":
            self._sets = parameter_sets(track.context.extradata)
            self._judge([*self._sets.units])
            if track.context.has_b_frames:
                self.unplayable = self.unplayable or "its pictures are reordered (B-frames)"
        self._forget_group()
        for viewer in self.viewers.values():
            viewer.skip_to_keyframe()

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
            log.info("viewers_get_it_transcoded", processor=self.name, reason=self.unplayable)
            self._forget_group()
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
            self._forget_group()
        elif not self._group:
            return
        self._group.append(shown)
        self._group_bytes += shown.size
        if len(self._group) > MAX_GROUP or self._group_bytes > MAX_GROUP_BYTES:
            self._forget_group()

    def _forget_group(self) -> None:
        self._group.clear()
        self._group_bytes = 0

    def _direct(self, viewer: Viewer) -> bool:
        """Whether it gets the source's pictures as they came; never those of a camera with privacy masks."""
        return self.unplayable is None and not self._mask and viewer.codec == self.codec

    def _needs(self, codec: str) -> bool:
        return any(viewer.codec == codec and not self._direct(viewer) for viewer in self.viewers.values())

    def _transcoded(self, shown: Shown) -> None:
        """In the transcoder's thread."""
        self._loop.call_soon_threadsafe(self._show_transcoded, shown)

    def _show_transcoded(self, shown: Shown) -> None:
        for viewer in tuple(self.viewers.values()):
            if viewer.codec == shown.codec and not self._direct(viewer):
                viewer.offer(shown)

    def _let_go(self) -> None:
        run, self._run = self._run, None
        with self._lock:
            self._recent = []
        if run is None:
            return
        run.items.remove(self._tap)
        run.lane.frames.observers.remove(self._watch)
        run.lane.frames.boxes_wanted = lambda: False

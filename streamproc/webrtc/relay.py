"""From one running source to all who watch it: one reading, encoded pictures passed on as they came where browsers play them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from connectors.webrtc.source import WebrtcSource
from streamproc.core.media import Frame, Gap, Packet, StreamItem
from streamproc.live.run import Run
from streamproc.media.demux import Coded
from streamproc.media.mask import PrivacyMask
from streamproc.pipeline.analysis import FrameResult
from streamproc.webrtc.outbound import Shown, Viewer
from streamproc.webrtc.source_pictures import MAX_GROUP, SourcePictures
from streamproc.webrtc.transcode import Transcoder

KEYFRAME_EVERY_S = 1.0
"""A publisher is asked for a keyframe at most so often, however many viewers want one."""


class Relay:
    """One processor's. Belongs to the event loop; its observers are called in other threads and only hand over."""

    def __init__(self, name: str, run_of: Callable[[], Run | None]) -> None:
        self.name = name
        self.viewers: dict[str, Viewer] = {}
        self.pictures = SourcePictures(name)
        self.observers: list[Callable[[Frame, list[FrameResult]], None]] = []
        """Called in the event loop after each look of the analysis."""
        self._run_of = run_of
        self._run: Run | None = None
        self._mask = PrivacyMask()
        """What viewers may not see; stays when the run ends, for what is still on its way."""
        self._loop = asyncio.get_running_loop()
        self._seen = asyncio.Event()
        self._lock = threading.Lock()
        self._recent: list[Packet] = []
        self._live = False
        self._transcoders: dict[str, Transcoder] = {}
        self._asked = 0.0
        self._peeking = 0

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
        return self.pictures.codec if self.pictures.unplayable is None and not self._mask else None

    def add(self, viewer: Viewer) -> None:
        self.viewers[viewer.identity] = viewer
        self.follow()

    def remove(self, viewer: Viewer) -> None:
        viewer.end()
        self.viewers.pop(viewer.identity, None)
        self.tidy()

    def started(self, viewer: Viewer) -> None:
        """A viewer is connected: show it something at once."""
        if self._direct(viewer):
            viewer.catch_up(self.pictures.group)
        if viewer.starving:
            self.keyframe_wanted(viewer)

    def keyframe_wanted(self, viewer: Viewer) -> None:
        """A viewer cannot go on without a keyframe: ask whoever can make one, else send again what came since the last."""
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
            viewer.catch_up(self.pictures.group)

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
            self.pictures.rest()
            self._seen.clear()

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
            self.pictures.forget()
            for viewer in self.viewers.values():
                viewer.skip_to_keyframe()
        elif isinstance(item, Packet):
            self._packet(item)

    def _packet(self, packet: Packet) -> None:
        coded = packet.data
        if not isinstance(coded, Coded):
            return
        if self.pictures.begin(coded.track):
            for viewer in self.viewers.values():
                viewer.skip_to_keyframe()
        shown = self.pictures.take(packet, coded, masked=bool(self._mask))
        self._seen.set()
        if shown is not None:
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

    def _direct(self, viewer: Viewer) -> bool:
        """Whether it gets the source's pictures as they came; never those of a camera with privacy masks."""
        return self.pictures.unplayable is None and not self._mask and viewer.codec == self.pictures.codec

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

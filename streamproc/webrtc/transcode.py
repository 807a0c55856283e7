"""For what browsers cannot play: decoded and encoded again, in a thread of its own, only while somebody watches."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import structlog

from streamproc.core.media import Frame, Gap, Packet
from streamproc.media.decode import Decoder
from streamproc.media.demux import Coded, VideoTrack
from streamproc.media.mask import PrivacyMask
from streamproc.media.picture import AvPicture
from streamproc.trouble import Trouble
from streamproc.webrtc.h264 import ParameterSets, for_viewers, packetize, split
from streamproc.webrtc.outbound import Shown
from streamproc.webrtc.vp8 import packetize as packetize_vp8

log = structlog.get_logger(__name__)

MAX_WAITING = 128
MAX_SIZE = (1920, 1080)
KEYFRAME_S = 4.0
MAX_FPS = 30
_BASE = Fraction(1, 90_000)
_OPTIONS = {
    "h264": {"preset": "ultrafast", "tune": "zerolatency", "crf": "25", "maxrate": "4M", "bufsize": "2M"},
    "vp8": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1"},
}
_ENCODERS = {"h264": "libx264", "vp8": "libvpx"}


class Transcoder:
    """Packets in from any thread, pictures out to ``on_shown`` from its own."""

    def __init__(
        self,
        codec: str,
        on_shown: Callable[[Shown], None],
        recent: Sequence[Packet] = (),
        show_from: Fraction = Fraction(0),
        mask: PrivacyMask | None = None,
    ) -> None:
        """``codec``: what comes out, h264 or vp8. ``recent``: packets since the last keyframe; of what they hold only pictures
        from media time ``show_from`` on are shown. ``mask``: what viewers may not see."""
        self.codec = codec
        self._on_shown = on_shown
        self._queue: queue.Queue[Packet | None] = queue.Queue(MAX_WAITING + len(recent))
        for packet in recent:
            self._queue.put_nowait(packet)
        self._decoder = Decoder(mask=mask)
        self._track: tuple[VideoTrack, VideoTrack] | None = None
        self._encoder: Any = None
        self._keyframe = True
        self._keyframe_at = 0.0
        self._broken = False
        self._over = threading.Event()
        self._next_due: Fraction | None = None
        self._show_from: Fraction | None = show_from if recent else None
        self._thread = threading.Thread(target=self._run, name=f"transcode-{codec}", daemon=True)
        self._thread.start()

    def put(self, item: Packet | Gap) -> None:
        """Never blocks: what it is too slow for is left out, up to the next keyframe."""
        if isinstance(item, Gap):
            self._broken = True
            return
        if self._broken:
            if not item.keyframe:
                return
            self._broken = False
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._broken = True

    def request_keyframe(self) -> None:
        self._keyframe = True

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)

    def join(self, timeout: float = 5.0) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        trouble = Trouble("transcoding_failed", "transcoding_goes_on")
        while not self._over.is_set():
            packet = self._queue.get()
            if packet is None:
                break
            try:
                for frame in self._decoder.decode(self._own(packet)):
                    self._show(frame)
                trouble.over()
            except Exception as error:  # noqa: BLE001 - the thread's boundary: a picture that cannot be shown must not end the watching
                trouble.met(repr(error), bug=error)
                self._encoder = None
                self._decoder.reset()

    def _own(self, packet: Packet) -> Packet:
        """The packet with a decoder context of our own: the track's belongs to the analysis."""
        coded = packet.data
        assert isinstance(coded, Coded)
        if self._track is None or self._track[0] is not coded.track:
            context = av.CodecContext.create(coded.track.codec, "r")
            if coded.track.context.extradata:
                context.extradata = coded.track.context.extradata
            self._track = (coded.track, replace(coded.track, context=context))
        return replace(packet, data=Coded(coded.packet, self._track[1]))

    def _show(self, frame: Frame) -> None:
        media, due = frame.at.media, self._next_due
        if self._show_from is not None and self._show_from - 30 < media < self._show_from:
            return
        self._show_from = None
        if due is not None and due - 1 < media < due:
            return
        self._next_due = frame.at.media + Fraction(9, 10 * MAX_FPS)
        picture = frame.picture
        assert isinstance(picture, AvPicture)
        image = self._sized(picture)
        if self._encoder is None or (self._encoder.width, self._encoder.height) != (image.width, image.height):
            self._open(image.width, image.height)
        image.pts, image.time_base = round(frame.at.media / _BASE), _BASE
        now = time.monotonic()
        wanted, self._keyframe = self._keyframe or now - self._keyframe_at > KEYFRAME_S, False
        kinds = av.video.frame.PictureType
        image.pict_type = kinds.I if wanted else kinds.NONE
        for packet in self._encoder.encode(image):
            if packet.is_keyframe:
                self._keyframe_at = now
            self._on_shown(self._shown(bytes(packet), packet.is_keyframe, frame))

    def _shown(self, data: bytes, keyframe: bool, frame: Frame) -> Shown:
        if self.codec == "h264":
            payloads = packetize(for_viewers(split(data, 0), ParameterSets(0, ())))
        else:
            payloads = packetize_vp8(data)
        return Shown(self.codec, tuple(payloads), len(data), keyframe, frame.at.media, frame.at.wall)

    @staticmethod
    def _sized(picture: AvPicture) -> Any:
        """Upright 4:2:0 of even size, no larger than what every browser decodes."""
        scale = min(1.0, MAX_SIZE[0] / picture.width, MAX_SIZE[1] / picture.height)
        width, height = (max(2, int(side * scale) // 2 * 2) for side in (picture.width, picture.height))
        # A copy in any case: the frame's own timestamps stay as they are.
        return picture.upright_frame().reformat(width=width, height=height, format="yuv420p")

    def _open(self, width: int, height: int) -> None:
        encoder = av.CodecContext.create(_ENCODERS[self.codec], "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = _BASE, Fraction(MAX_FPS)
        encoder.gop_size = 10_000
        encoder.thread_count = 1
        encoder.options = dict(_OPTIONS[self.codec])
        if self.codec == "h264":
            encoder.profile = "Baseline"
            encoder.max_b_frames = 0
        else:
            encoder.bit_rate = min(4_000_000, max(500_000, width * height * 3))
        self._encoder, self._keyframe = encoder, True

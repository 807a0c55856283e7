"""Keeps what one source sends, beside the analysis and never in its way."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from fractions import Fraction

import structlog

from streamproc import metrics
from streamproc.core.errors import MediaError, StreamprocError
from streamproc.core.media import Gap, Packet, StreamItem
from streamproc.core.video_log import FragmentWriter, Recorded
from streamproc.media.recorded import RecordingCutter

log = structlog.get_logger(__name__)

QUEUE_BYTES = 24_000_000
"""Of packets that wait to be written: over a minute of 3 Mbit/s. More are dropped, up to the next keyframe."""
FRAGMENT_BYTES = 40_000_000
"""A feed without keyframes for so long is dropped; the store takes 50 MB."""
SAY_S = 60.0
"""Between two words about what is dropped."""
KEYFRAME_S = Fraction(4)
"""Seconds of media after which a source that gives keyframes on demand is asked for one: only a fragment that is complete is safe."""
ASK_AGAIN_S = Fraction(2)


class Recorder:
    """One feed's recording: ``observe`` in the source's thread, everything else in a thread of its own.

    Packets pass through a queue that is bounded in bytes. Whatever cannot be kept (a full or slow disk, a codec that Matroska does not take) is
    dropped, counted and said; the source is never waited for.
    """

    def __init__(
        self,
        stream: str,
        keep_s: float,
        writer: FragmentWriter,
        queue_bytes: int = QUEUE_BYTES,
        *,
        unmasked: bool = False,
        ask_keyframe: Callable[[], None] = lambda: None,
    ) -> None:
        """``ask_keyframe`` is called in the source's thread when none has come for long."""
        self.stream = stream
        self._unmasked = unmasked
        self._ask_keyframe = ask_keyframe
        self._ask_at: Fraction | None = None
        """Media time."""
        self._keep_ms = round(keep_s * 1000)
        self._writer = writer
        self._most = queue_bytes
        self._queue: deque[Packet | None] = deque()
        """None: what comes next does not follow on what came before."""
        self._queued = 0
        self._wakeup = threading.Condition()
        self._dropping = False
        self._closed = threading.Event()
        self._give_up = threading.Event()
        self._cutter = RecordingCutter()
        self._said_at = float("-inf")
        self._unsaid = 0
        self._thread = threading.Thread(target=self._run, name=f"recorder-{stream}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def observe(self, item: StreamItem) -> None:
        """An item of the feed. Returns at once."""
        if isinstance(item, Packet):
            self._want_keyframe(item)
            with self._wakeup:
                kept = self._enqueue(item)
            if not kept:
                metrics.RECORDING_DROPPED.labels(self.stream, "behind").inc()
        elif isinstance(item, Gap):
            self._ask_at = None
            with self._wakeup:
                self._queue.append(None)
                self._wakeup.notify()  # what came before it is complete

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is complete, then end. Blocks up to about ``timeout_s``."""
        with self._wakeup:
            self._closed.set()
            self._wakeup.notify()
        self._thread.join(timeout_s)
        self._give_up.set()

    def _want_keyframe(self, packet: Packet) -> None:
        at = packet.at.media
        if packet.keyframe or self._ask_at is None:
            self._ask_at = at + KEYFRAME_S
        elif at >= self._ask_at:
            self._ask_at = at + ASK_AGAIN_S
            self._ask_keyframe()

    def _enqueue(self, packet: Packet) -> bool:
        if self._closed.is_set():
            return True
        if self._queued + packet.size > self._most or (self._dropping and not packet.keyframe):
            if not self._dropping:
                self._queue.append(None)
            self._dropping = True
            return False
        self._dropping = False
        self._queue.append(packet)
        self._queued += packet.size
        if packet.keyframe:  # only these complete a fragment: the thread need not wake for others
            self._wakeup.notify()
        return True

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._keep(self._take())
            self._keep(self._take())
            self._write(self._cutter.finish())
        except Exception:  # the thread's boundary: a recording that breaks leaves the analysis alone
            log.exception("recording_broke", processor=self.stream)
            with self._wakeup:
                self._closed.set()

    def _take(self) -> list[Packet | None]:
        with self._wakeup:
            if not self._closed.is_set():
                self._wakeup.wait()
            taken = list(self._queue)
            self._queue.clear()
            self._queued = 0
            return taken

    def _keep(self, items: Iterable[Packet | None]) -> None:
        for item in items:
            try:
                self._write(self._cutter.finish() if item is None else self._cutter.add(item))
            except MediaError as error:
                self._cutter.drop()
                self._dropped("media", error)
            if self._cutter.held > FRAGMENT_BYTES:
                self._cutter.drop()
                self._dropped("media", MediaError(f"no keyframe for {FRAGMENT_BYTES} bytes"))

    def _write(self, fragments: Iterable[Recorded]) -> None:
        for fragment in fragments:
            try:
                # It may have been deleted meanwhile.
                self._writer.keep(self.stream, self._keep_ms, unmasked=self._unmasked)
                self._writer.append(self.stream, fragment, self._give_up)
            except StreamprocError as error:
                self._dropped("store", error)
            else:
                metrics.RECORDED_BYTES.labels(self.stream).inc(len(fragment.data))

    def _dropped(self, reason: str, error: StreamprocError) -> None:
        metrics.RECORDING_DROPPED.labels(self.stream, reason).inc()
        self._unsaid += 1
        now = time.monotonic()
        if now - self._said_at >= SAY_S:
            log.warning("not_recorded", processor=self.stream, reason=str(error), dropped=self._unsaid)
            self._said_at, self._unsaid = now, 0

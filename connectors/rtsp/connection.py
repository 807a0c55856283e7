"""One connection to a camera, read in a thread of its own: FFmpeg's calls block, and whoever waits must be able to leave."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

import av
import av.error

from streamproc.core.errors import MediaError, SourceError, SourceRefused, SourceStalled
from streamproc.media.demux import VideoTrack, open_container, reason, video_track
from streamproc.media.nal import PictureJoiner

READ_PATIENCE_S = 2.0
"""A read gives up after so long and is begun again: the longest that an abandoned connection lingers."""
MAX_WAITING = 512
"""Packets in hand before the camera is made to wait."""
AFTER_SILENCE_S = 0.2
"""Assumed age of the first picture after a silence."""
LOOKAHEAD_CODECS = {"h264", "hevc"}
"""FFmpeg's parser knows that a picture of these has ended when the next begins, so they are handed out one picture late."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One access unit and when its last packet came."""

    raw: Any
    track: VideoTrack
    at: float
    """``time.monotonic()`` seconds."""


def open_camera(url: str, transport: str, timeout_s: float, thorough: bool = False) -> Any:
    """A container of the camera's video. Raises SourceError, or SourceRefused for a wrong password.

    ``thorough``: also its sound, and what takes seconds of video to learn.
    """
    options = {"rtsp_transport": transport}
    if not thorough:
        # FFmpeg would read seconds of video to learn what the decoder finds out by itself.
        options |= {"allowed_media_types": "video", "fpsprobesize": "0", "probesize": "32"}
    try:
        return open_container(url, options, timeout=(timeout_s, READ_PATIENCE_S))
    except (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError):
        raise SourceRefused(
            "the camera refused user or password; fix username_env and password_env (or the URL) and start again"
        ) from None
    except av.error.HTTPNotFoundError:
        raise SourceError("the camera has no stream of that path (404); fix the path of the URL") from None
    except av.error.ExitError:
        raise SourceError(f"the camera did not answer within {timeout_s:g} s") from None
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"cannot connect: {reason(error)}") from None


class ArrivalClock:
    """When a picture's last packet came, from when FFmpeg handed pictures out. ``now`` is an argument: seconds of a steady clock."""

    def __init__(self, now: float, late: bool) -> None:
        """``late``: pictures are handed out when the next one begins to arrive."""
        self._late = late
        self._handed_out = self._heard = now
        self._silent = False

    def picture(self, now: float) -> float:
        """A picture was handed out: when it came. One that is handed out late came right after the one before was, or after the silence."""
        came = now
        if self._late:
            came = max(self._heard, now - AFTER_SILENCE_S) if self._silent else self._heard
        self._handed_out, self._heard, self._silent = now, now, False
        return came

    def silence(self, now: float) -> float:
        """A read gave up; seconds since the last picture."""
        self._heard, self._silent = now, True
        return now - self._handed_out


class Connection:
    """Opens ``url`` at once in its own thread. ``get`` hands out what came; ``leave`` makes the thread end, by itself, soon."""

    def __init__(self, url: str, transport: str, connect_timeout_s: float, stall_after_s: float) -> None:
        self._url = url
        self._transport = transport
        self._connect_timeout_s = connect_timeout_s
        self._stall_after_s = stall_after_s
        self._queue: queue.Queue[Arrived | SourceError] = queue.Queue(MAX_WAITING)
        self._left = threading.Event()
        self.thread = threading.Thread(target=self._run, name="rtsp-read", daemon=True)
        self.thread.start()

    def get(self, timeout_s: float) -> Arrived | None:
        """The next access unit; None when none came in time. Raises SourceError when the connection is over, with the reason."""
        try:
            item = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(item, SourceError):
            raise item
        return item

    def leave(self) -> None:
        """Nobody wants any more of it."""
        self._left.set()

    def _run(self) -> None:
        try:
            container = open_camera(self._url, self._transport, self._connect_timeout_s)
            try:
                self._read(container)
            finally:
                container.close()
        except SourceError as error:
            self._put(error)
        except MediaError as error:
            self._put(SourceError(str(error)))
        except Exception as error:  # noqa: BLE001 - the thread's boundary: whoever waits must hear of it
            self._put(SourceError(f"reading failed: {reason(error)}"))

    def _read(self, container: Any) -> None:
        stream, track = video_track(container, self._url, writable=True)
        arrivals = ArrivalClock(time.monotonic(), late=track.codec in LOOKAHEAD_CODECS)
        joiner = PictureJoiner(track.codec)
        packets = container.demux(stream)
        while not self._left.is_set():
            try:
                raw = next(packets, None)
            except av.error.ExitError:
                silence = arrivals.silence(time.monotonic())
                if silence >= self._stall_after_s:
                    raise SourceStalled(f"connected, but no picture came for {silence:.0f} s") from None
                packets = container.demux(stream)
                continue
            except av.FFmpegError as error:
                raise SourceError(f"the connection was lost: {reason(error)}") from None
            if raw is None:
                raise SourceError("the camera ended the stream")
            if raw.size:
                for whole, came in joiner.add(raw, arrivals.picture(time.monotonic())):
                    self._put(Arrived(whole, track, came))

    def _put(self, item: Arrived | SourceError) -> None:
        while not self._left.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.5)
                return

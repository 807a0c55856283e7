"""The seam between the decode and what is asked of a video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from streamproc.jobs.video import Sound, VideoFrame
from streamproc.jobs.video_facts import VideoFacts


class Analysis(Protocol):
    """One thing asked of a video. Fed by one thread, in order.

    What it finds leaves it in rows (``take``), so that memory stays flat and a checkpoint writes each row once. ``snapshot`` is
    what it needs beside the rows to go on. Both are plain documents (``logic.state_codec``). ``conclude`` is pure: all rows in, the result out.
    """

    name: str
    hears: bool
    """Wants the sound."""

    def wants(self, index: int, at: Any) -> bool:
        """Whether the frame with this number at this time (Fraction seconds) is to be given to ``add``."""
        ...

    def add(self, frame: VideoFrame) -> None: ...

    def hear(self, sound: Sound) -> None: ...

    def take(self) -> Any:
        """What was found since the last call; None where nothing was."""
        ...

    def finish(self) -> None:
        """No frame will follow: decide what is open."""
        ...

    def snapshot(self) -> Any: ...

    def restore(self, state: Any) -> None: ...

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        """The result, JSON-ready, from everything ``take`` gave in order."""
        ...

"""Durability of one lane: decisions with the state that led to them, and the time of the next checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from streamproc.contracts import Position
from streamproc.core.event import Event, Pictures
from streamproc.logic.session import Sessions
from streamproc.pipeline.snapshot import LaneState

CHECKPOINT_S = 2.0
"""Wall seconds between checkpoints of a feed that can be read again: what a killed process analyses twice."""
CHECKPOINT_LIVE_S = 5.0
"""The same of a live feed. What a camera showed meanwhile cannot be analysed again, so its state is written less often."""

Decision = tuple[Event, Pictures | None]
"""An event that was decided, with its pictures where it has any."""


class Committer(Protocol):
    """Makes decisions durable. Called by one worker at a time."""

    def commit(self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None) -> bool:
        """True: they are on disk. False: the storage takes nothing for now; they wait and will be, in this order."""
        ...


class Recorder:
    """Commits what a lane decided. Times are monotonic seconds."""

    def __init__(self, committer: Committer, checkpoints: bool, on_durable: Callable[[Position], None]) -> None:
        self.checkpoints = checkpoints
        """Whether state is kept at all."""
        self.on_durable = on_durable
        """Told which position of the source is safe to forget."""
        self._committer = committer
        self._last = float("-inf")

    def is_due(self, live: bool, now: float) -> bool:
        """Whether a checkpoint is due though nothing was decided."""
        return self.checkpoints and now - self._last >= (CHECKPOINT_LIVE_S if live else CHECKPOINT_S)

    def note(self, now: float) -> None:
        """The state of this instant is durable, or as good as it."""
        self._last = now

    def commit(
        self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None, position: Position | None
    ) -> None:
        """Make events durable, together with the state that decided them (None: it is not to be kept).

        ``position``: in the source; everything up to it is durable then.
        """
        stored = self._committer.commit(told, sessions, state)
        if stored and position is not None:
            self.on_durable(position)

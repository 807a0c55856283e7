"""From where in a log a new owner has to read so that it misses nothing which an output is still owed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Pending:
    offset: int
    outputs: set[str]


@dataclass(slots=True)
class PendingOffsets:
    """Events of one slot whose outputs have not all confirmed them, or refused them for good."""

    last: int = 0
    """Offset of the newest event that was added; everything before ``first`` and not after this is settled."""
    _pending: dict[tuple[str, int], _Pending] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """Where reading has to begin."""
        return min((each.offset for each in self._pending.values()), default=self.last)

    def add(self, offset: int, session: str, sequence: int, outputs: Iterable[str]) -> None:
        """An event of the log, and who is owed it."""
        self.last = max(self.last, offset)
        owed = set(outputs)
        if owed:
            self._pending[session, sequence] = _Pending(offset, owed)

    def settle(self, output: str, session: str, sequence: int) -> None:
        """An output has settled the session's events up to this one."""
        for key, each in list(self._pending.items()):
            if key[0] == session and key[1] <= sequence:
                each.outputs.discard(output)
                if not each.outputs:
                    del self._pending[key]

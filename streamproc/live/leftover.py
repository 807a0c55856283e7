"""The session that an earlier process left behind: gone on with, or ended with its summary."""

from __future__ import annotations

from streamproc.config.processor import ProcessorConfig
from streamproc.live.assembly import session_rules
from streamproc.live.commit import JournalCommitter
from streamproc.live.resume import Resumed, close_left_over, read_checkpoint
from streamproc.store.journal import Journal

CUT_OFF_BY = ("shutdown", "restarted")
"""Reasons in the summary of a session that was ended for a reason outside of it: another one follows."""


class LeftOver:
    """What is in one processor's checkpoint. Made in the event loop, used while nothing of the processor runs."""

    def __init__(self, journal: Journal, name: str, config: ProcessorConfig) -> None:
        self._journal = journal
        self._name = name
        self._config = config
        self._checkpoint = journal.checkpoint(name)

    def __bool__(self) -> bool:
        return self._checkpoint is not None

    def resumable(self) -> Resumed | None:
        """What can be gone on with: document and source are still the same."""
        return read_checkpoint(self._checkpoint, self._config)

    def ended_with(self, resumed: Resumed) -> str | None:
        """The reason in the summary of a session whose process was killed after it; None: it was cut off before."""
        row = self._journal.session(resumed.session) if resumed.session is not None else None
        return str(row.state.get("reason")) if row is not None and row.closed is not None else None

    def end(self, reason: str, committer: JournalCommitter) -> None:
        """Write the summary that is missing, and forget the checkpoint. Blocks on the disk; raises StorageUnavailable."""
        close_left_over(self._name, session_rules(self._config), self._journal, committer, reason)
        self.forget()

    def forget(self) -> None:
        """Blocks on the disk."""
        self._journal.clear_checkpoint(self._name)


def by_itself(reason: str) -> bool:
    """Whether a session with this reason in its summary ended as it was meant to, so that no other follows unasked."""
    return reason not in CUT_OFF_BY and not reason.startswith("failed")

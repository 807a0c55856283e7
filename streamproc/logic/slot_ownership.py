"""The life of one slot on one node: from being assigned to being let go, as decisions without clocks, tasks or brokers.

A node may write for a slot from the moment at which its transactional producer has started (that fences whoever wrote before) until another's
start fences it. What the group assigns only says who should try; what the log takes says who owns. So nothing here hangs on being told of a loss
in time.

Every act is answered with the term that it was begun with; answers to acts of an earlier term are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Phase(StrEnum):
    """What a node is doing about a slot."""

    ELSEWHERE = "elsewhere"
    """Nothing: it is not its to run."""
    CONFIRMING = "confirming"
    """It was fenced although its newest assignment names the slot: it asks its group whether it is still a member."""
    FENCING = "fencing"
    """It starts the slot's producer."""
    RESTORING = "restoring"
    """It reads what the slot's log holds."""
    OWNED = "owned"
    """Its processors run here."""
    LEAVING = "leaving"
    """Its processors commit a last time, with their sessions open."""


class Act(StrEnum):
    """What the shell is to do. The first three are tried again by whoever carries them out, after a while, when ``failed`` answers with them."""

    CONFIRM = "confirm"
    """Ask the group: ``confirmed``, ``refused`` or ``failed``."""
    FENCE = "fence"
    """Start a producer under the slot's transactional id: ``fenced`` or ``failed``."""
    RESTORE = "restore"
    """Read the slot's log to its end, committed records only: ``restored`` or ``failed``."""
    RUN = "run"
    """Start the processors from what was read; commits answer with ``lost`` or ``uncertain`` where they do not succeed."""
    HAND_OVER = "hand over"
    """Commit a last time and let the sources go: ``handed_over``, ``lost`` or ``uncertain``."""
    DROP = "drop"
    """Let the sources go at once, discard what was not committed, close the producer. No answer."""
    CLOSE = "close"
    """Close the producer, started or starting. No answer."""


_TRIED = {Phase.CONFIRMING: Act.CONFIRM, Phase.FENCING: Act.FENCE, Phase.RESTORING: Act.RESTORE}
Step = tuple["Slot", tuple[Act, ...]]


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot on one node. Each method returns what it becomes and what is to be done, in this order."""

    phase: Phase = Phase.ELSEWHERE
    term: int = 0
    """Rises with each new beginning."""
    wanted: bool = False
    """Whether the newest assignment names it."""

    def assigned(self) -> Step:
        """A new assignment of the group names it. Who has it already is not disturbed; who was asking about an older one has the answer."""
        wanted = replace(self, wanted=True)
        return wanted._begin(Phase.FENCING) if self.phase in (Phase.ELSEWHERE, Phase.CONFIRMING) else (wanted, ())

    def withdrawn(self) -> Step:
        """A new assignment of the group does not name it, or the node is to leave."""
        left = replace(self, wanted=False)
        if self.phase is Phase.OWNED:
            return replace(left, phase=Phase.LEAVING), (Act.HAND_OVER,)
        if self.phase in _TRIED:
            return replace(left, phase=Phase.ELSEWHERE, term=self.term + 1), (Act.CLOSE,)
        return left, ()

    def confirmed(self, term: int) -> Step:
        """The group still has this node, and the assignment is its newest."""
        return self._begin(Phase.FENCING) if self._asked(Phase.CONFIRMING, term) else (self, ())

    def refused(self, term: int) -> Step:
        """The group has gone on without this node; a new assignment will come."""
        if not self._asked(Phase.CONFIRMING, term):
            return self, ()
        return replace(self, phase=Phase.ELSEWHERE, wanted=False), ()

    def fenced(self, term: int) -> Step:
        """The producer has started: nobody who had the slot before can commit any more."""
        if not self._asked(Phase.FENCING, term):
            return self, ()
        return replace(self, phase=Phase.RESTORING), (Act.RESTORE,)

    def restored(self, term: int) -> Step:
        """The log was read to its end."""
        if not self._asked(Phase.RESTORING, term):
            return self, ()
        return replace(self, phase=Phase.OWNED), (Act.RUN,)

    def failed(self, term: int) -> Step:
        """The brokers could not be asked; the same again."""
        tried = _TRIED.get(self.phase)
        return self, (tried,) if tried is not None and term == self.term else ()

    def lost(self, term: int) -> Step:
        """The log refuses this node: another has fenced it.

        Mostly the next assignment says why. But whoever did it may have acted on an old assignment (it was stopped for a while), and if it
        dies at once no new assignment comes. So a node whose assignment still names the slot asks, and takes it again.
        """
        if term != self.term or self.phase not in (Phase.OWNED, Phase.LEAVING):
            return self, ()
        if not self.wanted:
            return replace(self, phase=Phase.ELSEWHERE), (Act.DROP,)
        found, acts = self._begin(Phase.CONFIRMING)
        return found, (Act.DROP, *acts)

    def uncertain(self, term: int) -> Step:
        """A commit got no answer: whether it happened, the log has to say. Fencing oneself settles it."""
        if term != self.term or self.phase not in (Phase.OWNED, Phase.LEAVING):
            return self, ()
        if not self.wanted:
            return replace(self, phase=Phase.ELSEWHERE), (Act.DROP,)
        found, acts = self._begin(Phase.FENCING)
        return found, (Act.DROP, *acts)

    def handed_over(self, term: int) -> Step:
        """The last commit is done."""
        if not self._asked(Phase.LEAVING, term):
            return self, ()
        if not self.wanted:
            return replace(self, phase=Phase.ELSEWHERE), (Act.CLOSE,)
        found, acts = self._begin(Phase.FENCING)
        return found, (Act.CLOSE, *acts)

    def _begin(self, phase: Phase) -> Step:
        return replace(self, phase=phase, term=self.term + 1), (_TRIED[phase],)

    def _asked(self, phase: Phase, term: int) -> bool:
        return self.phase is phase and self.term == term

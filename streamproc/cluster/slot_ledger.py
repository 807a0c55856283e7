"""What outputs have settled of a slot's events, and what of it the next owner has to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectors.kafka.slot_log import Entry
from streamproc.cluster.slot_store import SlotContents, SlotStore
from streamproc.core.event import Event
from streamproc.core.route import Route
from streamproc.logic.pending_offsets import PendingOffsets


class SlotLedger:
    """Belongs to the event loop. Its records and ``owed_from`` belong into the same transaction."""

    def __init__(self, store: SlotStore) -> None:
        self.unwritten: dict[tuple[str, str], int] = {}
        """Sequence by output and session."""
        self._store = store
        self._pending = PendingOffsets()
        self._ends: dict[str, int] = {}
        """Offset of each session's newest event."""
        self._marks: set[tuple[str, str]] = set()
        """Those of which the log has a record."""

    @property
    def owed_from(self) -> int:
        """Offset of the events' topic from which everything lies that an output is owed."""
        return self._pending.first

    def inherit(self, contents: SlotContents) -> None:
        """Go on from these."""
        self._marks = set(contents.settled)
        self._pending.last = contents.owner.owed_from
        for name, records in contents.events.items():
            routes = contents.routes.get(name)
            for each in records:
                event, offset = each.event, contents.offsets[each.event.id]
                if routes is None:  # nobody delivers what a processor owes that this node does not know
                    self._note(offset, event, [""])
                    continue
                done = [
                    route.output
                    for route in routes
                    if contents.settled.get((route.output, event.session), -1) >= event.sequence
                ]
                self._note(offset, event, [output for output in owed_to(event, routes) if output not in done])

    def committed(self, event: Event, routes: Sequence[Route], offset: int | None) -> None:
        """The log has an event; None: at an offset that is not known, after those before."""
        self._note(self._pending.last if offset is None else offset, event, owed_to(event, routes))

    def settle(self, output: str, session: str, sequence: int) -> None:
        """An output has confirmed the session's events up to this one, or refused them for good."""
        key = (output, session)
        self.unwritten[key] = max(sequence, self.unwritten.get(key, -1))
        self._pending.settle(output, session, sequence)

    def take(self) -> dict[tuple[str, str], int]:
        """What is to be written next; it counts as written unless it is ``put_back``."""
        taken, self.unwritten = self.unwritten, {}
        return taken

    def put_back(self, taken: dict[tuple[str, str], int]) -> None:
        self.unwritten = taken | self.unwritten

    def entries(self, taken: dict[tuple[str, str], int]) -> list[Entry]:
        """The records of ``taken``, and tombstones of sessions whose events nobody reads any more."""
        self._marks |= taken.keys()
        past = {key for key in self._marks if self._ends.get(key[1], -1) < self.owed_from and key not in taken}
        self._marks -= past
        for _, session in past:
            self._ends.pop(session, None)
        return self._store.settlement({**taken, **dict.fromkeys(past)})

    def _note(self, offset: int, event: Event, outputs: Iterable[str]) -> None:
        self._ends[event.session] = offset
        self._pending.add(offset, event.session, event.sequence, outputs)


def owed_to(event: Event, routes: Iterable[Route]) -> list[str]:
    """Keys of the outputs that take an event."""
    return [route.output for route in routes if event.type in route.types]

"""What an output has confirmed or refused, from when it said so until the node's disk knows it."""

from __future__ import annotations

from streamproc.outbox.dead import DeadLetters
from streamproc.store.deliveries import DeliveryStore, PendingDelivery
from streamproc.threads import DATABASE


class Verdicts:
    """One output's. What it has taken or refused is not delivered again while the disk takes nothing."""

    def __init__(self, key: str, store: DeliveryStore, dead: DeadLetters) -> None:
        """``key``: the output's."""
        self._key, self._store, self._dead = key, store, dead
        self._confirmed: set[int] = set()
        self._refused: dict[int, str] = {}
        """Why, by event."""
        self._lettered: set[int] = set()
        """Of the refused those that stand in the file of dead letters already."""

    def confirm(self, item: PendingDelivery) -> None:
        self._confirmed.add(item.seq)

    def refuse(self, item: PendingDelivery, reason: str) -> None:
        self._refused[item.seq] = reason

    def is_refused(self, item: PendingDelivery) -> bool:
        return item.seq in self._refused

    async def write_confirmed(self) -> None:
        """All of them in one transaction. Raises StorageUnavailable; they stay in memory then."""
        seqs = sorted(self._confirmed)
        if seqs:
            await DATABASE.run(self._store.delivered, self._key, seqs)
            self._confirmed.difference_update(seqs)

    async def put_aside(self, item: PendingDelivery) -> None:
        """A refused event among the dead letters. Raises StorageUnavailable; the refusal stays in memory then."""
        reason = self._refused[item.seq]
        if item.seq not in self._lettered:
            await DATABASE.run(self._dead.add, item, reason)
            self._lettered.add(item.seq)
        await DATABASE.run(self._store.dead, self._key, item.seq, reason)
        del self._refused[item.seq]
        self._lettered.discard(item.seq)

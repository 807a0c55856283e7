"""One feed out of several partitions of a log, in the order of its producers' clocks. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class _Held(Generic[ItemT]):
    at: datetime | None
    """The producer's time; None goes before all others."""
    size: int
    item: ItemT


class PartitionMerge(Generic[ItemT]):
    """Holds what partitions gave until no other partition can still give something older.

    Within a partition the order stays as it is. A partition that is read to its end is not waited for: a live feed is never held back.
    """

    def __init__(self, partitions: Iterable[int], max_bytes: int) -> None:
        """``max_bytes``: of one partition; see ``full``."""
        self._held: dict[int, deque[_Held[ItemT]]] = {partition: deque() for partition in partitions}
        self._bytes = dict.fromkeys(self._held, 0)
        self._max_bytes = max_bytes

    def add(self, partition: int, at: datetime | None, size: int, item: ItemT) -> None:
        """What a partition gave next. ``size``: bytes that it holds in memory."""
        self._held.setdefault(partition, deque()).append(_Held(at, size, item))
        self._bytes[partition] = self._bytes.get(partition, 0) + size

    def take(self, caught_up: Collection[int]) -> list[ItemT]:
        """What may be given out, oldest first. ``caught_up``: partitions that have nothing more for now."""
        taken = []
        while all(held or partition in caught_up for partition, held in self._held.items()):
            heads = [(held[0], partition) for partition, held in self._held.items() if held]
            if not heads:
                break
            first, partition = min(heads, key=lambda head: (head[0].at is not None, head[0].at, head[1]))
            self._held[partition].popleft()
            self._bytes[partition] -= first.size
            taken.append(first.item)
        return taken

    def full(self) -> set[int]:
        """Partitions that ran ahead as far as they may: fetch from the others first."""
        return {partition for partition, size in self._bytes.items() if size >= self._max_bytes}

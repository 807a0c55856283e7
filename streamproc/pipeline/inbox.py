"""The bounded place where a source's thread leaves items for its lane."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from streamproc.contracts import Position
from streamproc.core.media import Frame, Packet, StreamItem


@dataclass(frozen=True, slots=True)
class Queued:
    """One item of a feed on its way to the lane."""

    item: StreamItem
    position: Position | None
    """Where to resume so that this item and all before it are not needed again; None: not here."""
    arrived: float
    """Monotonic seconds."""


LIMIT_LIVE, LIMIT_DURABLE = 600, 256
"""Items. A camera that is asleep needs room for what lies between two keyframes: 20 s at 30 frames a second."""


class Inbox:
    """Items of one feed, in order. One thread puts, one (at a time) takes.

    A durable feed waits while it is full. A live one cannot be asked to wait: what is queued is thrown away up to the newest
    keyframe, and the lane is told how much.
    """

    def __init__(self, live: bool, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.live = live
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: deque[Queued] = deque()
        self._room = threading.Condition()
        self._await_key = False
        self.overflowed: list[Fraction] = []
        """Media times of the packets that were thrown away; the lane counts those that were due, and clears the list."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, queued: Queued, stop: threading.Event) -> bool:
        """Add an item. False: ``stop`` was set while waiting for room."""
        size = _size(queued.item)
        with self._room:
            if self.live:
                if self._full(size):
                    self._throw_away()
                if self._await_key and not self._passes(queued):
                    return True
            else:
                while self._full(size):
                    if stop.is_set():
                        return False
                    self._room.wait(0.25)
            self._items.append(queued)
            self._bytes += size
        return True

    def take(self) -> Queued | None:
        with self._room:
            if not self._items:
                return None
            queued = self._items.popleft()
            self._bytes -= _size(queued.item)
            self._room.notify()
            return queued

    def clear(self) -> None:
        with self._room:
            self._items.clear()
            self._bytes = 0
            self._await_key = False
            self._room.notify()

    @property
    def _limit(self) -> int:
        return LIMIT_LIVE if self.live else LIMIT_DURABLE

    @property
    def nearly_full(self) -> bool:
        return 4 * len(self._items) > 3 * self._limit or 4 * self._bytes > 3 * self._max_bytes

    def put_back(self, queued: Queued) -> None:
        """Undo ``take``."""
        with self._room:
            self._items.appendleft(queued)
            self._bytes += _size(queued.item)

    def border(self) -> Queued | None:
        """The first item behind the head at which something new begins: a keyframe, or anything that is no packet."""
        with self._room:
            for queued in islice(self._items, 1, None):
                if not isinstance(queued.item, Packet) or queued.item.keyframe:
                    return queued
            return None

    def newest_keyframe(self) -> Queued | None:
        """The last keyframe behind the head that only packets lie before."""
        found = None
        with self._room:
            for queued in islice(self._items, 1, None):
                if not isinstance(queued.item, Packet):
                    break
                if queued.item.keyframe:
                    found = queued
        return found

    def drop_before(self, queued: Queued) -> int:
        """Give up what lies before an item that is queued; how many items that were."""
        return len(self.skip_to(queued))

    def skip_to(self, queued: Queued) -> list[Queued]:
        """The same; what was given up."""
        with self._room:
            skipped = []
            while self._items and self._items[0] is not queued:
                skipped.append(self._items.popleft())
                self._bytes -= _size(skipped[-1].item)
            return skipped

    def head(self) -> Queued | None:
        """The item that ``take`` would give; only the taker may trust it."""
        with self._room:
            return self._items[0] if self._items else None

    def newest_media(self) -> Fraction | None:
        """Media time of the newest picture that is queued."""
        with self._room:
            for queued in reversed(self._items):
                if isinstance(queued.item, Packet | Frame):
                    return queued.item.at.media
            return None

    def _full(self, size: int) -> bool:
        return bool(self._items) and (len(self._items) >= self._limit or self._bytes + size > self._max_bytes)

    def _throw_away(self) -> None:
        """Drop pictures from the oldest on; gaps and ends stay."""
        kept = deque(queued for queued in self._items if not isinstance(queued.item, Packet | Frame))
        self.overflowed += [queued.item.at.media for queued in self._items if isinstance(queued.item, Packet | Frame)]
        self._items = kept
        self._bytes = 0
        self._await_key = True

    def _passes(self, queued: Queued) -> bool:
        """Without the packets before it only a keyframe (or a whole picture) can be decoded."""
        item = queued.item
        if isinstance(item, Packet) and not item.keyframe:
            self.overflowed.append(item.at.media)
            return False
        if isinstance(item, Packet | Frame):
            self._await_key = False
        return True


def _size(item: StreamItem) -> int:
    if isinstance(item, Packet):
        return item.size
    return item.picture.width * item.picture.height * 3 // 2 if isinstance(item, Frame) else 0

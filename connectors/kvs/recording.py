"""A part of a stream as a feed that ends: what replay reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from connectors.kvs.fragments import FragmentItems, instant
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import NotFound
from streamproc.core.media import EndOfStream, Gap, GapReason, Moment, Packet, StreamItem
from streamproc.core.video_log import FragmentInfo
from streamproc.logic.clips import ClipRange


class RecordingSource:
    """See ``contracts.Source``. Media time 0 is the first frame at or after the clip's begin; frames before it are only decoded from."""

    traits = SourceTraits(live=False, replayable=True)

    def __init__(self, clip: ClipRange, infos: Sequence[FragmentInfo], read: Callable[[FragmentInfo], bytes]) -> None:
        """``infos``: the fragments that hold something of the clip, at least one. ``read`` raises NotFound for one that is gone."""
        self._clip = clip
        self._infos = infos
        self._read = read

    @property
    def begins(self) -> datetime:
        """About when its first frame was taken."""
        return max(self._clip.begins, instant(self._infos[0].producer_ms))

    @property
    def identity(self) -> str:
        """Equal for the same part of the same recording."""
        return " ".join([self._clip.uri, *(f"{info.number}:{info.size}" for info in self._infos)])

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Cannot be resumed."""
        fragments = FragmentItems(self._clip.stream)
        origin: Fraction | None = None
        for info in self._infos:
            if stop.is_set():
                return
            try:
                items = list(fragments.items(info, self._read(info)))
            except NotFound:
                items = [Gap(GapReason.SKIPPED, fragments.feed.last, f"fragment {info.number} was removed meanwhile")]
            if origin is None:
                origin = self._first(items)
            yield from self._cut(items, origin)
        yield EndOfStream()

    def position(self) -> Position | None:
        return None

    def durable(self, position: Position) -> None:
        """Nothing to be told."""

    def _first(self, items: Sequence[Packet | Gap]) -> Fraction | None:
        """Media time of the first frame within the clip."""
        within = (item.at.media for item in items if isinstance(item, Packet) and item.at.wall >= self._clip.begins)
        return min(within, default=None)

    def _cut(self, items: Sequence[Packet | Gap], origin: Fraction | None) -> Iterator[StreamItem]:
        for item in items:
            if isinstance(item, Packet) and item.at.wall < self._clip.ends:
                media = item.at.media - origin if origin is not None else Fraction(-1)
                yield replace(item, at=Moment(media, item.at.wall))
            elif isinstance(item, Gap) and origin is not None:
                yield replace(item, at=Moment(max(Fraction(0), item.at.media - origin), item.at.wall))

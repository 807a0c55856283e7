"""Clusters joined into fragments that can be decoded alone. Pure.

The rule is one cluster, one fragment. Muxers that cut clusters by size or time (FFmpeg on a pipe does by default) break it: a cluster whose first
picture is no keyframe belongs to the fragment before it, up to ten seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streamproc.media.matroska import END_OF_FRAGMENT, MAX_FRAGMENT_BYTES
from streamproc.media.matroska_events import ClusterBegin, ClusterEnd, Event, FirstPicture, Header, TagsRead

LONGEST_MS = 10_000
"""The service's longest fragment."""
FIRST_PAUSE_S, USUAL_PAUSE_S = 1.0, 0.2
"""Without bytes for so long a fragment counts as complete, where sizes told that its clusters are; at first, and once clusters proved to
begin with keyframes. Tags may still follow a cluster, and it is not known yet whether the next one has to be joined."""


class TimecodeLesser(Exception):
    """A cluster begins before the one ahead of it (error 4004)."""


@dataclass(frozen=True, slots=True)
class Buffering:
    """A cluster arrives. ``begins``: it begins a fragment; else it belongs to the one that is open."""

    timecode_ms: int
    begins: bool


@dataclass(frozen=True, slots=True)
class Received:
    """A cluster is complete."""

    timecode_ms: int


@dataclass(frozen=True, slots=True)
class RawFragment:
    """A fragment as a file of its own: ``header.data`` and ``body``."""

    header: Header
    body: bytes
    timecodes_ms: tuple[int, ...]
    """Of its clusters."""
    duration_ms: int
    """From its first picture to the end of its last; 0 where that cannot be told of a single one."""


Step = Buffering | Received | RawFragment


@dataclass(slots=True)
class _Open:
    begin_ms: int
    body: bytearray = field(default_factory=bytearray)
    timecodes: list[int] = field(default_factory=list)
    first_ms: int | None = None
    last_ms: int = 0
    pictures: int = 0


class Assembler:
    """Takes the cutter's events of one session."""

    def __init__(self, max_fragment_bytes: int = MAX_FRAGMENT_BYTES) -> None:
        self._most = max_fragment_bytes
        self._header: Header | None = None
        self._open: _Open | None = None
        self._arriving: int | None = None
        """Timecode of a cluster that is arriving and whose place is not decided."""
        self._last_ms: int | None = None
        self._joins = False
        self._alone = 0
        """Clusters so far that began with a keyframe."""
        self._steps: list[Step] = []

    @property
    def held(self) -> int:
        """Bytes of the open fragment."""
        return len(self._open.body) if self._open is not None else 0

    @property
    def pause_s(self) -> float:
        """After so many seconds without bytes between clusters, ``close`` the fragment."""
        if self._joins:
            return LONGEST_MS / 1000
        return USUAL_PAUSE_S if self._alone > 1 else FIRST_PAUSE_S

    def add(self, events: Iterable[Event]) -> list[Step]:
        """What follows from ``events``. Raises TimecodeLesser."""
        for event in events:
            if isinstance(event, Header):
                self._close()
                self._header, self._last_ms = event, None
            elif isinstance(event, ClusterBegin):
                self._begin(event.timecode_ms)
            elif isinstance(event, FirstPicture):
                self._alone += event.keyframe
                self._decide(joins=not event.keyframe)
            elif isinstance(event, ClusterEnd):
                self._end(event)
            else:
                self._tags(event)
        return self._take()

    def close(self) -> list[Step]:
        """End the open fragment with the clusters that are complete."""
        self._close()
        return self._take()

    def _take(self) -> list[Step]:
        steps, self._steps = self._steps, []
        return steps

    def _begin(self, timecode_ms: int) -> None:
        if self._last_ms is not None and timecode_ms < self._last_ms:
            raise TimecodeLesser(f"a cluster at {timecode_ms} ms behind one at {self._last_ms} ms")
        self._last_ms = self._arriving = timecode_ms
        assert self._header is not None
        if self._open is None or not self._header.has_video:
            self._decide(joins=False)

    def _decide(self, *, joins: bool) -> None:
        """Where the arriving cluster belongs."""
        begin = self._arriving
        if begin is None:
            return
        self._arriving = None
        fits = (
            self._open is not None
            and begin - self._open.begin_ms < LONGEST_MS
            and len(self._open.body) < self._most // 2
        )
        if joins and fits:
            self._joins = True
        else:
            self._close()
            self._open = _Open(begin)
        self._steps.append(Buffering(begin, not (joins and fits)))

    def _end(self, cluster: ClusterEnd) -> None:
        if self._arriving is not None:
            self._decide(joins=True)  # there is no picture in it
        fragment = self._open
        assert fragment is not None
        fragment.body += cluster.data
        fragment.timecodes.append(cluster.timecode_ms)
        if cluster.pictures:
            fragment.first_ms = cluster.first_ms if fragment.first_ms is None else fragment.first_ms
            fragment.last_ms = max(fragment.last_ms, cluster.last_ms)
            fragment.pictures += cluster.pictures
        self._steps.append(Received(cluster.timecode_ms))

    def _tags(self, tags: TagsRead) -> None:
        if any(name == END_OF_FRAGMENT for name, _ in tags.pairs):
            self._close()
        elif self._open is not None and len(self._open.body) + len(tags.data) <= self._most:
            self._open.body += tags.data

    def _close(self) -> None:
        fragment, self._open = self._open, None
        if fragment is None or self._header is None or not fragment.timecodes:
            return
        self._steps.append(
            RawFragment(self._header, bytes(fragment.body), tuple(fragment.timecodes), self._duration(fragment))
        )

    def _duration(self, fragment: _Open) -> int:
        span = fragment.last_ms - (fragment.first_ms or 0)
        if fragment.pictures > 1:
            return span + round(span / (fragment.pictures - 1))
        assert self._header is not None
        told = [track.frame_ms for track in self._header.tracks if track.is_video]
        return round(told[0]) if told else 0

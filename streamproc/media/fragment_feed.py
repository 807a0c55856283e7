"""Fragments of a durable log, one behind the other, as the packets of one feed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

from streamproc.core.media import EPOCH, FragmentMark, Gap, GapReason, Moment, Packet
from streamproc.logic.fragments import HOLE, FragmentClock
from streamproc.media.demux import Coded
from streamproc.media.fragments import Fragment


class FragmentFeed:
    """Places fragments in media time and says where video is missing."""

    def __init__(self) -> None:
        self.clock = FragmentClock()
        self.last = Moment(Fraction(0), EPOCH)
        """The latest instant so far."""

    def packets(
        self, fragment: Fragment, mark: FragmentMark, name: str, lead: Fraction = Fraction(0)
    ) -> Iterator[Gap | Packet]:
        """A gap where one comes before ``fragment``, then its packets; the last one ``ends``. ``name`` is for people.

        ``lead``: seconds from the fragment's producer timestamp to its first picture (sound may come first).
        """
        placed = self.clock.place(mark.number, mark.producer, fragment.first_pts, fragment.duration, mark.server)
        if placed.hole > HOLE and not fragment.is_still:
            yield Gap(GapReason.LOST, self.last, f"no video for {float(placed.hole):.1f} s before {name}")
        for index, unit in enumerate(fragment.units, 1):
            wall = mark.producer + timedelta(microseconds=round((lead + unit.offset) * 1_000_000))
            at = Moment(placed.media + unit.offset, wall)
            if at.media >= self.last.media:
                self.last = at
            raw, last = unit.raw, index == len(fragment.units)
            yield Packet(Coded(raw, fragment.track), at, raw.size, raw.is_keyframe, mark, unit.offset, ends=last)

"""Stored fragments as the items of a feed, whoever gives them: this node's store, a service, a part of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import structlog

from streamproc.core.errors import MediaError
from streamproc.core.media import FragmentMark, Gap, GapReason, Packet
from streamproc.core.video_log import FragmentInfo
from streamproc.media.fragment_feed import FragmentFeed
from streamproc.media.fragments import Fragment, read_fragment
from streamproc.media.matroska import first_timecode_ms, read_header

log = structlog.get_logger(__name__)


class FragmentItems:
    """Takes fragments in the order of their stream."""

    def __init__(self, stream: str, not_before: datetime | None = None) -> None:
        """``not_before``: fragments that end before it are passed over, until the first that does not."""
        self._stream = stream
        self.not_before = not_before
        self.feed = FragmentFeed()

    def items(self, info: FragmentInfo, data: bytes) -> Iterator[Packet | Gap]:
        """Its packets, the last of which ``ends``; gaps before and behind it; nothing of one without video."""
        name = f"fragment {info.number}"
        try:
            if not read_header(data).has_video:
                return  # sound alone
            fragment = read_fragment(data, name)
        except MediaError as error:
            log.warning("fragment_skipped", stream=self._stream, reason=str(error))
            yield Gap(GapReason.CORRUPT, self.feed.last, str(error))
            return
        if self._is_too_early(info, fragment):
            return
        self.not_before = None
        mark = FragmentMark(info.number, instant(info.producer_ms), instant(info.server_ms))
        # A frame's time is the producer timestamp and its block's time within the cluster; sound may come first.
        lead = fragment.first_pts - Fraction(first_timecode_ms(data), 1000)
        yield from self.feed.packets(fragment, mark, name, lead)
        if fragment.damage:
            yield Gap(GapReason.CORRUPT, self.feed.last, f"{name} is damaged: {fragment.damage}")

    def _is_too_early(self, info: FragmentInfo, fragment: Fragment) -> bool:
        if self.not_before is None:
            return False
        end = instant(info.producer_ms) + timedelta(microseconds=round(fragment.duration * 1_000_000))
        return end <= self.not_before


def instant(milliseconds: int) -> datetime:
    """UTC of epoch milliseconds."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
